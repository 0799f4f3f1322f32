// Keys and the marking of the current row; the pages themselves need neither. Nothing here reads a row's text.
"use strict";

const KEYS = [
  ["j / k", "next, previous row"], ["n / p", "next, previous page"], ["/", "search"], ["1 / 0", "review: yes, no"], ["x", "review: take back"],
  ["w", "review: keep as an artifact"], ["f", "match: mark as a false alarm"], ["Esc", "leave a field; close what is open"], ["?", "this list"],
];

const rows = () => [...document.querySelectorAll("#list a.row")];
const current = () => document.querySelector("#list a.row[aria-current]");

function markCurrent(row) {
  for (const other of rows()) {
    other.toggleAttribute("aria-current", other === row);
    other.closest("tr").classList.toggle("current", other === row);
  }
  row?.closest("tr").scrollIntoView({ block: "nearest" });
}

function step(by) {
  const all = rows();
  const at = all.indexOf(current());
  const next = all[at < 0 ? 0 : at + by];
  if (next) next.click();
  else document.querySelector(`#list a[rel=${by > 0 ? "next" : "prev"}]`)?.click();
}

function help() {
  const dialog = document.createElement("dialog");
  const list = document.createElement("dl");
  for (const [key, what] of KEYS) {
    const term = document.createElement("dt"), said = document.createElement("dd"), cap = document.createElement("kbd");
    cap.textContent = key;
    term.append(cap);
    said.textContent = what;
    list.append(term, said);
  }
  dialog.append(list);
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}

document.addEventListener("click", (event) => {
  const row = event.target.closest?.("#list a.row");
  if (row) {
    markCurrent(row);
    document.getElementById("shelf")?.classList.add("opened");
  }
});

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "Escape") {
    if (document.activeElement?.matches("input, select")) document.activeElement.blur();
    else if (!document.querySelector("dialog")) document.querySelector(".opened .back a")?.click();
    return;
  }
  if (event.target.closest("input, select, textarea, dialog")) return;
  const moves = { j: () => step(1), k: () => step(-1), n: () => document.querySelector("#list a[rel=next]")?.click(),
    p: () => document.querySelector("#list a[rel=prev]")?.click(), "?": help };
  const target = [...document.querySelectorAll("[data-key]")].find((one) => one.dataset.key === event.key);
  if (moves[event.key]) moves[event.key]();
  else if (target?.matches("input")) target.focus();
  else if (target) target.click();
  else return;
  event.preventDefault();
});

document.addEventListener("htmx:afterSwap", () => {
  const row = current();
  if (row) row.closest("tr").scrollIntoView({ block: "nearest" });
});
