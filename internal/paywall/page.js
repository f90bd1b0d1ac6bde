(() => {
"use strict";
const box = document.getElementById("l402");
if (!box) return;
const words = box.dataset;
const find = id => document.getElementById(id);
const status = find("status");
let over = false; // paid or expired: nothing is waited for any more
const say = (text, good) => {
if (!status || status.textContent === text) return;
status.textContent = text;
status.className = good ? "good" : "";
};

// How long the invoice can be paid, by this clock's pace and the server's reckoning.
const left = find("left");
const end = performance.now() + words.seconds * 1000;
const expire = () => {
if (over) return;
over = true;
box.classList.add("over");
if (find("ways")) find("ways").inert = true;
if (find("renew")) find("renew").hidden = false;
say(words.expired, true);
};
const two = n => String(n).padStart(2, "0");
const tick = () => {
const s = Math.max(0, Math.round((end - performance.now()) / 1000));
const h = Math.floor(s / 3600);
if (left) left.textContent = (h ? h + ":" + two(Math.floor(s / 60) % 60) : Math.floor(s / 60)) + ":" + two(s % 60);
if (s > 0 && !over) setTimeout(tick, 1000);
// The server has the last word, a little later: a payment may have come in the last second.
else if (!over) setTimeout(() => ask().then(() => { if (performance.now() > end) expire(); }), 1500);
};
tick();

const copy = find("copy");
if (copy) {
copy.hidden = false;
copy.onclick = async () => {
try { await navigator.clipboard.writeText(words.invoice); }
catch {
// Without a secure origin there is no clipboard but this one.
const text = find("invoice");
text.closest("details").open = true;
text.focus();
text.select();
if (!document.execCommand("copy")) return;
}
say(words.copied, true);
};
}

if (!words.action) return;
const token = box.querySelector("[name=token]").value;
const sleep = ms => new Promise(done => setTimeout(done, ms));
const post = (fields, accept, signal) => fetch(words.action, {
method: "POST", credentials: "same-origin", cache: "no-store", redirect: "error", signal,
headers: { Accept: accept }, body: new URLSearchParams({ token, ...fields }),
});

// Settled: the gate gives the cookie, and the page is loaded again.
const finish = async preimage => {
over = true;
say(words.paid, true);
for (let tries = 0; tries < 5; tries++, await sleep(1000 * tries)) {
try {
const answer = await post(preimage ? { do: "paid", preimage } : { do: "paid" }, "application/json");
if (!answer.ok || (await answer.json()).state !== "settled") continue;
if (!words.back) return say(words.again, true);
const to = new URL(words.back, location.href);
to.hash = location.hash;
// What is no page but a file leaves this one where it is.
setTimeout(() => say(words.done, true), 5000);
return to.href === location.href ? location.reload() : location.replace(to);
} catch {}
}
say(words.lost);
};
const hear = state => {
if (over) return true;
if (state.state === "settled") return finish(), true;
if (state.state === "expired") return expire(), true;
if (state.blind && find("proof")) find("proof").open = true;
if (status.textContent === words.lost) say(words.waiting);
return false;
};

// One question. It returns false where this gate does not answer.
const ask = async () => {
try {
const answer = await post({ do: "poll" }, "application/json");
if (!answer.ok) return answer.status >= 429;
if (!/^application\/json/.test(answer.headers.get("Content-Type"))) return false;
hear(await answer.json());
return true;
} catch { return true; }
};

// Events as they come. It returns false where there are none, and polling must do.
const listen = async () => {
const stop = new AbortController();
const timer = setTimeout(() => stop.abort(), 10000);
try {
const answer = await post({ do: "watch" }, "text/event-stream", stop.signal);
if (!answer.ok || !/^text\/event-stream/.test(answer.headers.get("Content-Type"))) return false;
const reader = answer.body.getReader();
const decoder = new TextDecoder();
let text = "", heard = false;
for (;;) {
const { value, done } = await reader.read();
if (done) return heard;
clearTimeout(timer);
text += decoder.decode(value, { stream: true });
for (let at; (at = text.indexOf("\n\n")) >= 0; text = text.slice(at + 2)) {
for (const line of text.slice(0, at).split("\n")) {
if (!line.startsWith("data: ")) continue;
heard = true;
if (hear(JSON.parse(line.slice(6)))) { stop.abort(); return true; }
}
}
}
} catch (reason) {
if (stop.signal.aborted) return over;
say(words.lost);
return true;
} finally { clearTimeout(timer); }
};
(async () => {
let events = true, deaf = 0;
for (let pause = 1000; !over; pause = Math.min(pause * 1.5, 10000)) {
const begin = performance.now();
if (events) {
events = await listen();
if (performance.now() - begin > 30000) pause = 1000;
}
else if (await ask()) deaf = 0;
// Where the site lets only the page's own method through, loading it again is what remains.
else if (++deaf > 2 && words.back && !over) return sleep(10000).then(() => over || location.reload());
await sleep(events ? pause : Math.max(2000, pause));
}
})();
// Who comes back from a wallet does not wait for the next question.
document.addEventListener("visibilitychange", () => { if (!document.hidden && !over) ask(); });

const inBrowser = find("inbrowser");
const offer = () => {
if (!inBrowser || !window.webln || typeof window.webln.sendPayment !== "function" || !inBrowser.hidden) return;
inBrowser.hidden = false;
inBrowser.onclick = async () => {
try {
await window.webln.enable();
const paid = await window.webln.sendPayment(words.invoice);
if (!over) finish(paid && paid.preimage);
} catch { if (!over) say(words.failed); }
};
};
offer();
setTimeout(offer, 1000);
})();
