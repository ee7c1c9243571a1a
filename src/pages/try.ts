/** GET /try: an inbox in the browser. Its script is in `web/try/`. */
import { html, type Html } from './html'
import type { Page, Site } from './layout'

export function tryPage(site: Site): Page {
  return { title: 'Try it', path: '/try', content: content(site), scripts: ['try.js'], wide: true }
}

const KEY = html`pattern="0[23][0-9a-fA-F]{64}" title="An identity key: 66 hex digits, the first two
02 or 03" spellcheck="false" autocapitalize="off" autocomplete="off"`

function content(site: Site): Html {
  return html`<h1>Try it</h1>
    <p class="lead">
      An inbox in your browser. Open this page twice and write from one to the other.
    </p>
    <noscript
      ><p class="card bad">
        This page needs JavaScript: it makes a key, signs and decrypts in your browser.
      </p></noscript
    >
    <div class="columns" id="try" data-prefix="${site.prefix}">
      <div>${you(site)} ${write()}</div>
      <div>${inbox()} ${permission()}</div>
    </div>
    ${wire()}`
}

function you({ prefix }: Site): Html {
  return html`<section class="card" aria-labelledby="you">
    <h2 id="you">You</h2>
    <p class="quiet" id="identity-label">Your identity key. Others need it to write to you.</p>
    <code class="key" id="identity" data-copy="your identity key" aria-labelledby="identity-label"
      >…</code
    >
    <p class="buttons">
      <button type="button" id="new-key">New key</button>
      <a class="button" href="${prefix}/try" target="_blank" rel="noopener">Open a second window</a>
    </p>
    <p class="hint">
      The private key was made here and stays in this tab's session storage. It is gone when you
      close the tab.
    </p>
    <form id="connect">
      <p>
        <label for="host">Server</label
        ><input
          id="host"
          name="host"
          inputmode="url"
          required
          spellcheck="false"
          autocomplete="off"
        />
      </p>
      <p>
        <label for="box">Box to listen to</label
        ><input id="box" name="box" required maxlength="255" value="inbox" autocomplete="off" />
      </p>
      <p class="buttons">
        <button>Connect</button> <span id="state" class="state" role="status"></span>
      </p>
    </form>
  </section>`
}

function write(): Html {
  return html`<section class="card" aria-labelledby="write">
    <h2 id="write">Write</h2>
    <form id="send">
      <p>
        <label for="recipient">To (identity key)</label
        ><input class="mono" id="recipient" name="recipient" required ${KEY} />
      </p>
      <p class="buttons"><button type="button" class="small" id="to-myself">To myself</button></p>
      <p>
        <label for="to-box">Box</label
        ><input id="to-box" name="box" required maxlength="255" value="inbox" autocomplete="off" />
      </p>
      <p>
        <label for="body">Message</label
        ><textarea id="body" name="body" rows="3" required></textarea>
      </p>
      <fieldset>
        <legend>Send it over</legend>
        <label class="choice"
          ><input type="radio" name="over" id="over-socket" value="socket" checked /> the
          socket</label
        >
        <label class="choice"
          ><input type="radio" name="over" id="over-http" value="http" /> HTTP</label
        >
      </fieldset>
      <p class="buttons"><button class="main">Send</button></p>
      <p class="outcome" id="sent" role="status"></p>
    </form>
  </section>`
}

function inbox(): Html {
  return html`<section class="card" aria-labelledby="inbox">
    <h2 id="inbox">Your box</h2>
    <p class="hint">
      Messages appear as they arrive. They stay on the server until you acknowledge them.
    </p>
    <p class="buttons"><button type="button" id="list">List the box over HTTP</button></p>
    <p class="outcome" id="listed" role="status"></p>
    <div role="log" aria-live="polite" aria-labelledby="inbox">
      <ol class="messages" id="messages"></ol>
    </div>
  </section>`
}

function permission(): Html {
  return html`<section class="card" aria-labelledby="permission">
    <h2 id="permission">Who may write to you</h2>
    <form id="permit">
      <p>
        <label for="rule-box">Your box</label
        ><input
          id="rule-box"
          name="box"
          required
          maxlength="255"
          value="inbox"
          autocomplete="off"
        />
      </p>
      <p>
        <label for="rule-sender">Sender (identity key)</label
        ><input
          class="mono"
          id="rule-sender"
          name="sender"
          aria-describedby="rule-sender-hint"
          ${KEY}
        />
      </p>
      <p class="hint" id="rule-sender-hint">Leave it empty to set the rule for all senders.</p>
      <p>
        <label for="fee">Fee in satoshis</label
        ><input
          id="fee"
          name="fee"
          type="number"
          min="-1"
          step="1"
          required
          value="0"
          aria-describedby="fee-hint"
        />
      </p>
      <p class="hint" id="fee-hint">
        −1 blocks, 0 allows, more is a price. This page cannot pay: it shows the error.
      </p>
      <p class="buttons"><button>Set the rule</button></p>
      <p class="outcome" id="permitted" role="status"></p>
    </form>
  </section>`
}

function wire(): Html {
  return html`<section aria-labelledby="wire">
    <h2 id="wire">On the wire</h2>
    <p>
      Everything that this page exchanges with the server, newest first. Open a line to see the
      details.
    </p>
    <details>
      <summary>How to read it</summary>
      <p>
        Both sides prove their identity (BRC-103), then sign every message. Over HTTP the proof is
        in headers (BRC-104):
      </p>
      <ul>
        <li><code>x-bsv-auth-identity-key</code>: the sender's identity key.</li>
        <li>
          <code>x-bsv-auth-your-nonce</code>: the other side's nonce of the handshake. It names the
          session.
        </li>
        <li>
          <code>x-bsv-auth-nonce</code>: new for each request, so that a captured request cannot be
          sent again.
        </li>
        <li><code>x-bsv-auth-signature</code>: signs method, path, headers and body.</li>
      </ul>
      <p>
        Over the socket each event travels in one raw event, <code>authMessage</code>, with the same
        fields. It is shown decoded.
      </p>
    </details>
    <p class="buttons">
      <button type="button" class="small" id="clear">Clear</button>
      <span class="quiet" id="frame-count"></span>
    </p>
    <ol class="frames" id="frames" reversed></ol>
  </section>`
}
