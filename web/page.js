// The script of every page. Pages can be read without it.

/** Adds a copy button to each element with data-copy, whose value completes the button's label. */
for (const element of document.querySelectorAll('[data-copy]'))
  (element.closest('pre') ?? element).after(copyButton(element))

/** Examples show the address from which this page was loaded, also behind a proxy. */
for (const element of document.querySelectorAll('[data-origin]'))
  element.textContent = `${location.origin}${element.dataset.origin}`

function copyButton(element) {
  const button = document.createElement('button')
  button.type = 'button'
  button.className = 'copy'
  button.textContent = 'Copy'
  button.setAttribute('aria-label', `Copy ${element.dataset.copy}`)
  const status = document.createElement('span')
  status.className = 'told'
  status.setAttribute('role', 'status')
  button.addEventListener('click', async () => {
    status.textContent = (await copy(element)) ? 'Copied' : 'Selected: press Ctrl+C or ⌘C'
    setTimeout(() => {
      status.textContent = ''
    }, 4000)
  })
  const both = document.createElement('span')
  both.className = 'copying'
  both.append(button, status)
  return both
}

/** Selects the text if the page has no access to the clipboard, as over plain HTTP. */
async function copy(element) {
  try {
    await navigator.clipboard.writeText(element.textContent)
    return true
  } catch {
    getSelection().selectAllChildren(element)
    return false
  }
}
