"use strict";
// The page of a service: a history that is put together by hand, and what the run makes of it.
// Ids and names are untrusted: they come into the page as text alone (textContent), never as markup.

const SHOWN = 10; // items of a list
const PAUSE = 150; // milliseconds without a key pressed, or a click, until the service is asked
const STORED = "mltfr-key";
const state = { key: sessionStorage.getItem(STORED), info: null, history: [], popular: [], open: new Set() };
const waiting = {}; // by purpose: what stops the request before

const at = (id) => document.getElementById(id);

function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "onclick") node.addEventListener("click", value);
    else if (value !== false && value !== null) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null));
  return node;
}

// Characters that are not seen, or turn the text around them, are written out.
const visible = (text) =>
  String(text).replace(/[\u0000-\u001f\u007f-\u009f\u061c\u200b\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g,
    (letter) => `\\u${letter.codePointAt(0).toString(16).padStart(4, "0")}`);
const called = (item) => visible(item.name ?? item.item_id);
const number = (value) => Number(value).toLocaleString("en");
const signed = (value) => (value < 0 ? "−" : "+") + size(Math.abs(value));
const size = (value) => {
  const much = Math.abs(value);
  return much >= 100 ? number(Math.round(value)) : much >= 0.1 ? value.toFixed(2) : much ? value.toPrecision(2) : "0";
};
const hasNew = () => state.info.new_items > 0; // items that training has not seen, which the run has vectors of
const counted = (count, word) => `${number(count)} ${word}${count === 1 ? "" : "s"}`;

function label(item, ...more) {
  const id = item.name ? make("bdi", { class: "id" }, visible(item.item_id)) : null;
  const unseen = item.new ? make("span", { class: "badge" }, "new") : null;
  return make("div", { class: "what" }, make("bdi", {}, called(item)), id, unseen, ...more);
}

function say(id, text) {
  at(id).textContent = text;
}

// Requests

async function ask(path, document, purpose) {
  waiting[purpose]?.abort();
  const stop = (waiting[purpose] = new AbortController());
  const headers = { ...(state.key && { "X-API-Key": state.key }) };
  const how = { headers, signal: stop.signal };
  if (document) Object.assign(how, { method: "POST", body: JSON.stringify(document) });
  if (document) headers["Content-Type"] = "application/json";
  let answer;
  try {
    answer = await fetch(path, how);
  } catch (error) {
    if (stop.signal.aborted) throw error;
    throw { detail: "The service cannot be reached." };
  }
  let found = {};
  try {
    found = await answer.json();
  } catch (error) {
    if (stop.signal.aborted) throw error; // while it was read
    if (answer.ok) throw { detail: "The answer of the service broke off." };
  }
  if (answer.ok) return found;
  const after = answer.headers.get("Retry-After");
  const later = after ? ` Try again in ${counted(after, "second")}.` : "";
  throw { status: answer.status, detail: (found.detail ?? `The service answered ${answer.status}.`) + later };
}

function failed(error) {
  if (error.name === "AbortError") return; // a newer request took its place
  if (!error.detail) throw error;
  if (error.status === 401) {
    askForKey();
    return;
  }
  say("problem", visible(error.detail));
  at("problem").hidden = false;
}

function askForKey() {
  say("problem", state.key ? "The service does not take this API key." : "This service needs an API key.");
  at("problem").hidden = false;
  at("main").hidden = true;
  at("key").hidden = false;
  at("key-field").focus();
}

const timers = {};
function soon(work, name) {
  clearTimeout(timers[name]);
  timers[name] = setTimeout(work, PAUSE);
}

// Items to choose from

async function search() {
  const query = at("query").value;
  try {
    const found = await ask(`v1/items?limit=20&new_items=${hasNew()}&query=${encodeURIComponent(query)}`, null, "search");
    const what = query.trim() ? "" : "The most popular. ";
    const none = found.results.length ? "" : "No item is called so. ";
    say("found-note", `${what}${none}${found.more ? "There are more: type a name or an id." : ""}`);
    at("found").replaceChildren(...found.results.map((item) => make("li", {}, make("div", { class: "row" },
      label(item, make("span", { class: "small" }, item.new ? "not seen in training" : counted(item.interactions, "interaction"))), adder(item)))));
  } catch (error) {
    failed(error);
  }
}

function adder(item) {
  return make("button", { type: "button", class: "quiet", "aria-label": `Add ${called(item)}`,
    onclick: () => add(item) }, "Add");
}

// The history, oldest first; it is shown newest first

function add(item) {
  state.history.push({ item_id: item.item_id, name: item.name, new: item.new });
  changed(`Added ${called(item)}.`);
}

function remove(place) {
  const [item] = state.history.splice(place, 1);
  changed(`Removed ${called(item)}.`);
  const left = at("history").querySelectorAll("button");
  (left[Math.min(state.history.length - place, left.length - 1)] ?? at("query")).focus();
}

function changed(told) {
  say("status", told);
  showHistory();
  soon(recommend, "recommend");
}

function showHistory() {
  const count = state.history.length;
  const reads = state.info.reads;
  const beyond = reads !== null && count > reads ? ` The model reads the newest ${number(reads)}.` : "";
  say("history-note", count ? `${counted(count, "item")}, newest first.${beyond}` : "Empty. Add an item from the search or from a list.");
  at("clear").hidden = !count;
  at("history").replaceChildren(...state.history.map((item, place) => {
    const read = reads === null || place >= count - reads;
    return make("li", { class: read ? "" : "unread" }, make("div", { class: "row" },
      label(item, read ? null : make("span", { class: "small" }, "not read")),
      make("button", { type: "button", class: "quiet", "aria-label": `Remove ${called(item)}`,
        onclick: () => remove(place) }, "Remove")));
  }).reverse());
}

async function loadUser(event) {
  event.preventDefault();
  const user = at("user-field").value;
  try {
    const most = Math.min(1000, state.info.limits.max_k);
    const { results: [found] } = await ask("v1/histories", { users: [user], k: most, new_items: hasNew() }, "user");
    state.history = found.items.map((item) => ({ item_id: item.item_id, name: item.name, new: item.new }));
    const cut = found.length > found.items.length ? `, the newest ${number(found.items.length)} of ${number(found.length)}` : "";
    say("user-note", `User ${visible(found.user_id)}: ${counted(found.items.length, "item")}${cut}.`);
    changed("");
  } catch (error) {
    if (error.status === 404 || error.status === 422) say("user-note", visible(error.detail));
    else failed(error);
  }
}

// What the run makes of it

async function recommend() {
  const items = state.history.map((item) => item.item_id);
  const seen = at("seen").checked;
  const deny = seen ? [] : [...new Set(items)]; // so that both lists have the same candidates
  const lists = at("lists");
  lists.setAttribute("aria-busy", "true");
  try {
    const asked = { histories: { own: items, popular: [] }, k: Math.min(SHOWN, state.info.limits.max_k), include_seen: seen, deny, new_items: hasNew() };
    const answer = await ask("v1/recommend", asked, "recommend");
    at("problem").hidden = true;
    const [own, popular] = answer.results;
    showLists(own, popular, answer);
    explain(own, items, seen);
  } catch (error) {
    if (error.name === "AbortError") return; // the lists stay busy with the newer request
    failed(error);
  }
  lists.removeAttribute("aria-busy");
}

function showLists(own, popular, answer) {
  const empty = own.fallback !== null;
  const common = new Set(popular.items.map((item) => item.item_id));
  const both = own.items.filter((item) => common.has(item.item_id)).length;
  const note = [answer.note && visible(answer.note)];
  if (!state.history.length) note.push("Add items to the history, and the run's recommendations stand beside the most popular items.");
  else if (empty) note.push("The run knows no item of this history, so it answers with the most popular items.");
  if (own.skipped.length) note.push(`Not known, and skipped: ${own.skipped.map(visible).join(", ")}.`);
  say("lists-note", note.filter(Boolean).join(" "));
  at("own-side").hidden = empty;
  say("popular-note", empty ? "" : `${both} of these ${popular.items.length} stand in both lists.`);
  at("own").replaceChildren(...own.items.map((item) => ownRow(item, common.has(item.item_id))));
  at("popular").replaceChildren(...popular.items.map((item) => make("li", {}, row(item, adder(item)))));
  if (!empty) say("status", `${at("status").textContent} ${counted(own.items.length, "recommendation")}, the first: ${own.items.length ? called(own.items[0]) : "none"}.`);
}

function row(item, button, ...more) {
  return make("div", { class: "row" }, make("span", { class: "rank" }, String(item.rank)), label(item, ...more), button);
}

function ownRow(item, popular) {
  const because = make("span", { class: "small because" });
  const line = row(item, adder(item), popular ? make("span", { class: "badge" }, "popular too") : null, because);
  const entry = make("li", {}, line);
  entry.dataset.item = item.item_id;
  return entry;
}

// Explanations

async function explain(own, items, seen) {
  waiting.explain?.abort();
  say("explained", "");
  if (own.fallback !== null || !own.items.length) return;
  const asked = { histories: { own: items }, items: own.items.map((item) => item.item_id), k: own.items.length, include_seen: seen, new_items: hasNew() };
  try {
    const { results } = await ask("v1/explain", asked, "explain");
    const entries = new Map([...at("own").children].map((entry) => [entry.dataset.item, entry]));
    for (const found of results) {
      const entry = entries.get(found.item_id);
      if (entry) showExplanation(entry, found);
    }
  } catch (error) {
    if (error.name === "AbortError") return;
    if (error.status === 401) failed(error);
    else say("explained", [404, 405, 501].includes(error.status) ? "This service gives no explanations." : `No explanation: ${visible(error.detail)}`);
  }
}

function showExplanation(entry, found) {
  const up = found.contributions.filter((each) => each.value > 0).slice(0, 2);
  const reason = entry.querySelector(".because");
  reason.textContent = up.length ? `because of ${up.map((each) => `${called(each)} (${signed(each.value)})`).join(" and ")}` : "no single item of the history raises it";
  const id = `why-${entry.querySelector(".rank").textContent}`;
  const open = state.open.has(found.item_id);
  const panel = make("div", { class: "why", id, hidden: !open }, ...reasons(found));
  const button = make("button", { type: "button", class: "quiet", "aria-expanded": String(open), "aria-controls": id,
    "aria-label": `Why ${called(found)}?`,
    onclick: () => {
      panel.hidden = !panel.hidden;
      button.setAttribute("aria-expanded", String(!panel.hidden));
      if (panel.hidden) state.open.delete(found.item_id);
      else state.open.add(found.item_id);
    } }, "Why?");
  entry.querySelector(".row").lastElementChild.before(button);
  entry.append(panel);
}

function* reasons(found) {
  const told = found.contributions.slice(0, 8);
  const most = Math.max(...told.map((each) => Math.abs(each.value)), 1e-12);
  yield make("p", {}, `Score ${size(found.score)} (${found.unit}). What each item of the history does to it (${found.method}):`);
  yield table(told.map((each) => [called(each), each.value, most]));
  const rest = found.contributions.length - told.length;
  const parts = `Together ${signed(found.sum_of_parts)}, of ${signed(found.total_effect)} in all against ${visible(found.reference_is)}; `;
  yield make("p", {}, `${rest > 0 ? `${counted(rest, "further item")} with less. ` : ""}${parts}${signed(found.interaction)} comes from items acting together.`);
  if (found.smallest_set) {
    const names = found.smallest_set.items.map((id) => called(found.contributions.find((each) => each.item_id === id) ?? { item_id: id }));
    yield make("p", {}, `Without ${names.join(", ")} it falls to rank ${number(found.smallest_set.rank)}, out of the first ${found.k}.`);
  } else yield make("p", {}, `No one to three items of the history were found whose removal drops it from the first ${found.k}.`);
  const without = Object.entries(found.fidelity).filter(([, removed]) => removed.length)
    .map(([order, [removed]]) => `the ${visible(order)} ${number(removed.rank)}`);
  if (without.length) yield make("p", { class: "note" }, `How well that holds: its rank without one item of the history, chosen by order: ${without.join(", ")}.`);
  if (found.effects.length) {
    const largest = Math.max(...found.effects.map((each) => Math.abs(each.value)), 1e-12);
    yield make("h4", {}, "What parts of the model do to the score");
    yield table(found.effects.map((each) => [`${visible(each.part)}, against: ${visible(each.without)}`, each.value, largest]));
  }
  const words = found.tokens.filter((token) => token.text !== null).slice(0, 5);
  if (words.length && found.controls.length) { // words are shown only beside what the controls say of them
    yield make("h4", {}, "Tokens that the model keeps here");
    yield table(words.map((token) => [`${visible(token.text)} (${visible(token.table)})`, token.effect, null]));
  }
  for (const text of [...found.controls, ...found.notes]) yield make("p", { class: "note" }, visible(text));
}

function table(rows) {
  return make("table", {}, make("tbody", {}, ...rows.map(([name, value, most]) => {
    const bar = make("span", { class: value < 0 ? "down" : "" });
    bar.style.width = most === null ? "0" : `${(100 * Math.abs(value)) / most}%`;
    return make("tr", {}, make("th", { scope: "row" }, make("bdi", {}, name)), make("td", {}, signed(value)),
      most === null ? null : make("td", { class: "bar", "aria-hidden": "true" }, bar));
  })));
}

// The beginning

function showInfo(info) {
  say("title", info.title ?? info.name);
  document.title = `${info.title ?? info.name} · mltfr`;
  const more = info.new_items ? `, ${number(info.new_items)} more that training has not seen` : "";
  say("about", `${number(info.items)} items${more}, ${number(info.users)} users. Choose items, and see what the run recommends, and why.`);
  say("run", `Run ${info.run.slice(0, 12)}, mltfr ${info.mltfr}.`);
  const score = info.test.metrics?.["ndcg@10"];
  const without = info.fusion === "none" ? undefined : info.test.zero_branch?.["ndcg@10"];
  if (score !== undefined) say("scores", `NDCG@10 on the test split: ${score.toFixed(4)}${without === undefined ? "" : `; ${without.toFixed(4)} without the fusion's correction`}.`);
}

async function start() {
  try {
    state.info = await ask("v1/info", null, "info");
  } catch (error) {
    failed(error);
    return;
  }
  for (const id of ["problem", "key"]) at(id).hidden = true;
  at("main").hidden = false;
  showInfo(state.info);
  showHistory();
  await Promise.all([search(), recommend()]);
}

at("key").addEventListener("submit", (event) => {
  event.preventDefault();
  state.key = at("key-field").value.trim();
  sessionStorage.setItem(STORED, state.key);
  at("key-field").value = "";
  start();
});
at("query").addEventListener("input", () => soon(search, "search"));
at("search").addEventListener("submit", (event) => {
  event.preventDefault();
  search();
});
at("user").addEventListener("submit", loadUser);
at("seen").addEventListener("change", recommend);
at("clear").addEventListener("click", () => {
  state.history = [];
  say("user-note", "");
  changed("The history is empty.");
  at("query").focus();
});
start();
