"""The page a browser opens: press Talk, hear yourself come back from the transceiver, through the relay.

Nothing here runs on the server; these files are sent as they are, and nothing is built from them:

* `index.html`  what is on the page, with every place that a script fills in
* `style.css`   how it looks: light and dark, wide and phone, with and without motion
* `app.js`      one ES module: the call, its statistics, the sound, and the views that show them, in that order
* `icon.svg`    three bars, for the tab

They refer to each other by relative addresses, and hold under `Content-Security-Policy: default-src 'self'`: no script
or style is inline, and nothing comes from elsewhere.
"""
