// One stream for all panes that follow: a browser keeps six connections to a server, for all its tabs.

/** @typedef {import('./pane.js').Pane} Pane */

export class Follower {
  /** @param {() => Pane[]} panes @param {() => URLSearchParams} question @param {(lost: boolean) => void} told */
  constructor(panes, question, told) {
    this.panes = panes;
    this.question = question;
    this.told = told;
    /** @type {EventSource|null} */
    this.source = null;
    this.key = '';
    document.addEventListener('visibilitychange', () => this.see(true));
  }

  /** Follow what is to be followed now; `anew`: whatever was before. @param {boolean} [anew] */
  see(anew = false) {
    const panes = document.hidden ? [] : this.panes().filter((pane) => pane.following && !pane.busy);
    const question = this.question().toString();
    const key = JSON.stringify([panes.map((pane) => pane.name), question]);
    if (!anew && key === this.key && this.source) return;
    this.source?.close();
    this.source = null;
    this.key = key;
    clearTimeout(this.again);
    if (!panes.length) return;
    const query = new URLSearchParams(question);
    for (const pane of panes) query.append('f', `${pane.name}@${pane.to}`);
    const source = this.source = new EventSource(`/api/follow?${query}`);
    source.onopen = () => this.told(false);
    source.onmessage = (event) => {
      const news = JSON.parse(event.data);
      for (const pane of panes) if (pane.name === news.r && !pane.busy) pane.heard(news);
    };
    source.onerror = () => {
      // Its own next try would ask from where this one began.
      source.close();
      if (this.source !== source) return;
      this.source = null;
      this.told(true);
      this.again = setTimeout(() => this.see(true), 1000);
    };
  }
}
