/** @throws if the page has no such element */
export function byId<T extends HTMLElement = HTMLElement>(id: string): T {
  const found = document.getElementById(id)
  if (found === null) throw new Error(`the page has no #${id}`)
  return found as T
}

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

export function tell(line: HTMLElement, text: string, kind: 'good' | 'bad' | '' = ''): void {
  line.textContent = text
  line.classList.toggle('good', kind === 'good')
  line.classList.toggle('bad', kind === 'bad')
}

/** Runs `work` when the form is submitted. Its buttons are disabled meanwhile. */
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

/** Returns the trimmed text of a field. */
export type Fields = (name: string) => string

function fieldsOf(form: HTMLFormElement): Fields {
  const data = new FormData(form)
  return (name) => String(data.get(name) ?? '').trim()
}
