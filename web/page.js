// What every page does where programs run. All of it can be read without.

/** Puts a button beside whatever can be copied: an element with data-copy, whose value says what it is. */
for (const element of document.querySelectorAll('[data-copy]'))
  (element.closest('pre') ?? element).after(copyButton(element))

/** The address in examples is the one that this page came from, also behind a proxy. */
for (const element of document.querySelectorAll('[data-origin]'))
  element.textContent = `${location.origin}${element.dataset.origin}`

function copyButton(element) {
  const button = document.createElement('button')
  button.type = 'button'
  button.className = 'copy'
  button.textContent = 'Copy'
  button.setAttribute('aria-label', `Copy ${element.dataset.copy}`)
  const told = document.createElement('span')
  told.className = 'told'
  told.setAttribute('role', 'status')
  button.addEventListener('click', async () => {
    told.textContent = (await copy(element)) ? 'Copied' : 'Selected: press Ctrl+C or ⌘C'
    setTimeout(() => {
      told.textContent = ''
    }, 4000)
  })
  const both = document.createElement('span')
  both.className = 'copying'
  both.append(button, told)
  return both
}

/** Browsers keep the clipboard from pages over plain HTTP; there the text is selected instead. */
async function copy(element) {
  try {
    await navigator.clipboard.writeText(element.textContent)
    return true
  } catch {
    getSelection().selectAllChildren(element)
    return false
  }
}
