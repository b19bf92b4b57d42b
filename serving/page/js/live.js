// A small graphql-transport-ws client: one subscription, reconnecting with back-off, polling while it cannot connect.
// Protocol: https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md

import { query } from "./api.js";
import { authorization } from "./key.js";

const MAX_WAIT_MS = 15_000;
const POLL_MS = 3_000;
const SILENCE_MS = 25_000;

/**
 * Follow one root: `onData(value)` for each new value, `onState("live" | "polling" | "down")` when that changes.
 * Runs as long as the page does.
 */
export class LiveRoot {
  #attempts = 0;
  #poll = 0;
  #watch = 0;
  #socket = null;
  #state = "";
  #id = 0;

  constructor({ root, subscription, fallback, variables, onData, onState }) {
    Object.assign(this, { root, subscription, fallback, variables, onData, onState });
  }

  /** Connect at once, and not when the wait is over: something has changed that makes it worth trying. */
  again() {
    this.#attempts = 0;
    if (this.#poll) this.#pollOnce();
    this.#connect();
  }

  /** Ask the same with other variables from now on. */
  change(variables) {
    if (JSON.stringify(variables) === JSON.stringify(this.variables)) return;
    this.variables = variables;
    if (this.#state === "live" && this.#socket?.readyState === WebSocket.OPEN) {
      this.#socket.send(JSON.stringify({ id: String(this.#id), type: "complete" }));
      this.#subscribe(this.#socket);
    } else if (this.#poll) this.#pollOnce();
  }

  start() {
    this.#connect();
    // A laptop that wakes up, or a network that comes back, should not wait out its back-off.
    for (const [target, event] of [[window, "online"], [document, "visibilitychange"]]) {
      target.addEventListener(event, () => {
        if (document.visibilityState === "visible" && this.#socket === null) this.#connect();
      });
    }
  }

  #connect() {
    if (this.#socket) return;
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const socket = (this.#socket = new WebSocket(`${scheme}://${location.host}/graphql`, "graphql-transport-ws"));
    socket.addEventListener("open", () => {
      socket.send(JSON.stringify({ type: "connection_init", payload: authorization() }));
      this.#heard(socket);
    });
    socket.addEventListener("message", (event) => this.#receive(socket, JSON.parse(event.data)));
    socket.addEventListener("close", () => this.#lost(socket));
  }

  #receive(socket, message) {
    this.#heard(socket);
    if (message.type === "connection_ack") {
      this.#attempts = 0;
      clearInterval(this.#poll);
      this.#poll = 0;
      this.#subscribe(socket);
      this.#become("live");
    } else if (message.type === "next") {
      if (message.id !== String(this.#id)) return; // of the variables before these
      const value = message.payload.data?.[this.root];
      if (value) this.onData(value);
    } else if (message.type === "ping") {
      socket.send(JSON.stringify({ type: "pong" }));
    } else if (message.id === String(this.#id)) { // "error" or "complete"
      socket.close(1000);
    }
  }

  #subscribe(socket) {
    const payload = { query: this.subscription, variables: this.variables };
    socket.send(JSON.stringify({ id: String(++this.#id), type: "subscribe", payload }));
  }

  // A socket can die without a word; the stream may also just be quiet, so ask before giving up.
  #heard(socket) {
    clearTimeout(this.#watch);
    this.#watch = setTimeout(() => {
      if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify({ type: "ping" }));
      this.#watch = setTimeout(() => socket.close(), SILENCE_MS / 2);
    }, SILENCE_MS);
  }

  #lost(socket) {
    if (this.#socket !== socket) return;
    this.#socket = null;
    clearTimeout(this.#watch);
    if (!this.#poll) {
      this.#poll = setInterval(() => this.#pollOnce(), POLL_MS);
      this.#pollOnce();
    }
    const wait = Math.min(MAX_WAIT_MS, 500 * 2 ** this.#attempts++) * (0.5 + Math.random() / 2);
    setTimeout(() => this.#connect(), wait);
  }

  async #pollOnce() {
    try {
      const asked = this.variables;
      const data = await query(this.fallback, asked);
      if (asked !== this.variables) return;
      if (this.#state !== "live" || !this.#socket) this.#become("polling");
      if (data[this.root]) this.onData(data[this.root]);
    } catch (error) {
      this.#become("down", error);
    }
  }

  #become(state, error = null) {
    if (state === this.#state && state !== "down") return;
    this.#state = state;
    this.onState(state, error);
  }
}
