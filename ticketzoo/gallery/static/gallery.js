"use strict";
// Filters, order, slider and copying. Every page reads and prints without it.

const known = JSON.parse(document.getElementById("known")?.textContent ?? "[]");
const cards = [...document.querySelectorAll(".card[data-ticket]")];
const said = document.getElementById("said");
const kinds = JSON.parse(document.body.dataset.kinds);

function stopAt(card, place) {
  const { stops } = known[card.dataset.ticket];
  const [sparsity, level, kept, size, label, ticket, ticketRows, control, controlRows, controlName] = stops[place];
  const find = (selector) => card.querySelector(selector);
  const link = (element, text, rows) => {
    element.textContent = text || "not measured";
    if (rows === undefined) element.removeAttribute("href");
    else element.href = `${card.dataset.at}rows.html#g${rows}`;
  };
  find("output").textContent = sparsity;
  link(find(".n-ticket"), ticket, ticketRows);
  link(find(".n-control"), control, controlRows);
  find(".n-name").textContent = controlName ?? "";
  find(".n-kept").textContent = kept;
  find(".n-size").textContent = size;
  const verdict = find(".n-label .v");
  verdict.className = `v ${kinds[label.replace(" (short training)", "")] ?? "none"}`;
  verdict.textContent = label;
  const code = find("code");
  code.textContent = code.textContent
    .replace(/, level=\d+\)/, `, level=${level})`)
    .replace(/# level \d+: sparsity [\d.]+/, `# level ${level}: sparsity ${sparsity}`);
  const again = card.closest("main").querySelector("[data-again] code");
  if (again) again.textContent = again.textContent.replace(/--level \d+$/, `--level ${level}`);
  const dots = find(".stops")?.getAttribute("d").split("M").slice(1) ?? [];
  const dot = dots[stops.slice(0, place).filter((one) => one.length > 5).length];
  const [x, y] = ticketRows === undefined || !dot ? [-9, -9] : dot.split(/[ h]/);
  find(".here")?.setAttribute("cx", x);
  find(".here")?.setAttribute("cy", y);
  const range = find("input[type=range]");
  if (range) {
    range.value = place;
    range.setAttribute("aria-valuetext", `${sparsity}, level ${level}`);
  }
}

for (const card of cards) {
  const range = card.querySelector("input[type=range]");
  if (!range) continue;
  range.hidden = false;
  range.addEventListener("input", () => stopAt(card, Number(range.value)));
}

async function copy(button) {
  const code = button.parentElement.querySelector("code");
  try {
    await navigator.clipboard.writeText(code.textContent);
  } catch {
    getSelection().selectAllChildren(code);
    document.execCommand("copy");
  }
  said.textContent = `Copied: ${code.textContent}`;
  button.textContent = "Copied";
  setTimeout(() => { button.textContent = "Copy"; }, 1500);
}

for (const button of document.querySelectorAll(".copier")) {
  button.hidden = false;
  button.addEventListener("click", () => copy(button));
}

const form = document.getElementById("filters");
if (form) {
  const list = document.getElementById("cards");
  const count = document.getElementById("count");
  const none = document.getElementById("none");
  const order = [...cards];
  const facets = [...form.querySelectorAll("select")].filter((one) => !["sparsity", "order"].includes(one.name));
  const places = { architecture: 0, task: 1, data: 2, finder: 3, base: 4, verdict: 5 };
  const texts = known.map((one) => [one.name, ...one.facets].join("\n").toLowerCase());
  const orders = {
    "": () => 0,
    sparsest: (a, b) => known[b.dataset.ticket].sparsest - known[a.dataset.ticket].sparsest,
    name: (a, b) => (known[a.dataset.ticket].name < known[b.dataset.ticket].name ? -1 : 1),
  };
  let ordered = "";

  const filter = () => {
    const words = form.elements.text.value.toLowerCase().split(/\s+/).filter(Boolean);
    const chosen = facets.filter((one) => one.value).map((one) => [places[one.name], one.value]);
    const least = Number(form.elements.sparsity.value);
    let shown = 0;
    for (const card of cards) {
      const one = known[card.dataset.ticket];
      const fits = chosen.every(([place, value]) => one.facets[place] === value)
        && one.sparsest >= least
        && words.every((word) => texts[card.dataset.ticket].includes(word));
      if (card.hidden === fits) card.hidden = !fits;
      shown += fits;
    }
    count.textContent = shown === cards.length ? `${shown} ticket${shown === 1 ? "" : "s"}` : `${shown} of ${cards.length} tickets`;
    none.hidden = shown > 0;
    const wanted = form.elements.order.value;
    if (wanted !== ordered) {
      list.append(...[...order].sort(orders[wanted] ?? orders[""]));
      ordered = wanted;
    }
    for (const one of form.querySelectorAll("select")) one.classList.toggle("set", one.value !== "");
  };

  const remember = () => {
    const state = new URLSearchParams([...new FormData(form)].filter(([, value]) => value));
    history.replaceState(null, "", state.size ? `#${state}` : location.pathname + location.search);
  };

  const recall = () => {
    for (const [name, value] of new URLSearchParams(location.hash.slice(1))) {
      const field = form.elements.namedItem(name);
      if (field && "value" in field) field.value = value;
      if (field?.tagName === "SELECT" && field.selectedIndex < 0) field.selectedIndex = 0;
    }
    filter();
  };

  const clear = () => {
    for (const one of form.elements) if (one.matches("input, select")) one.value = "";
    filter();
    remember();
    form.elements.text.focus();
  };

  form.hidden = false;
  form.addEventListener("input", () => { filter(); remember(); });
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", (event) => { event.preventDefault(); clear(); });
  none.querySelector("button").addEventListener("click", clear);
  addEventListener("hashchange", recall);
  recall();
}

addEventListener("beforeprint", () => { for (const one of document.querySelectorAll("details")) one.open = true; });
