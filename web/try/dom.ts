/** An element of the page, which has to be there. */
export function byId<T extends HTMLElement = HTMLElement>(id: string): T {
  const found = document.getElementById(id)
  if (found === null) throw new Error(`the page has no #${id}`)
  return found as T
}

/** A new element; children are elements, or text. */
export function element<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  className = '',
  ...children: Array<Node | string>
): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag)
  if (className !== '') made.className = className
  made.append(...children)
  return made
}

/** A line about what became of something: in the colour of what it is. */
export function tell(line: HTMLElement, text: string, kind: 'good' | 'bad' | '' = ''): void {
  line.textContent = text
  line.classList.toggle('good', kind === 'good')
  line.classList.toggle('bad', kind === 'bad')
}

/** Runs what a form, or a button, stands for, not twice at once. */
export function onSubmit(form: HTMLFormElement, work: (fields: Fields) => Promise<void>): void {
  const buttons = form.querySelectorAll<HTMLButtonElement>('button:not([type])')
  form.addEventListener('submit', (event) => {
    event.preventDefault()
    for (const button of buttons) button.disabled = true
    void work(fieldsOf(form)).finally(() => {
      for (const button of buttons) button.disabled = false
    })
  })
}

/** What a form holds: the text of a field by its name. */
export type Fields = (name: string) => string

function fieldsOf(form: HTMLFormElement): Fields {
  const data = new FormData(form)
  return (name) => String(data.get(name) ?? '').trim()
}
