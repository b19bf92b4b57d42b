// When to load: once at a time, after each commit, at a pace that is kind to the server.

const PAUSE_MS = 1_000;

export class Refresher {
  #load;
  #loading = false;
  #wanted = false;
  #notBefore = 0;
  #hurry = false;
  #wake = () => {}; // ends the pause before the next load

  /** `load` does one load and never throws. */
  constructor(load) {
    this.#load = load;
    document.addEventListener("visibilitychange", () => { if (this.#wanted) this.request(); });
  }

  /** A reader who has chosen does not wait for the pause. */
  hurry() {
    this.#hurry = true;
    this.#wake();
    this.request();
  }

  /** Load soon; a call while loading makes one more load after it, and a hidden page waits until it is seen. */
  async request() {
    this.#wanted = true;
    if (this.#loading || document.visibilityState === "hidden") return;
    this.#loading = true;
    while (this.#wanted) {
      const pause = this.#hurry ? 0 : this.#notBefore - performance.now();
      if (pause > 0) await new Promise((resolve) => { this.#wake = resolve; setTimeout(resolve, pause); });
      this.#wanted = this.#hurry = false;
      const started = performance.now();
      await this.#load();
      // A slow answer means a busy server: leave it at least four times as long alone.
      this.#notBefore = performance.now() + Math.max(PAUSE_MS, 4 * (performance.now() - started));
    }
    this.#loading = false;
  }
}
