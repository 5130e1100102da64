"use strict";
/* The list of all test items: search, filter, sort, page through, look at one.
   Whatever comes from the data is shown as text nodes only. */
(() => {
  const PAGE = 25;
  const WAIT = 120; // milliseconds without a key before a search begins
  const MISSING = "not measured";
  const at = (name) => document.getElementById("explorer-" + name);
  const state = { data: null, lower: [], found: [], page: 0, open: -1 };

  function element(tag, text, attributes = {}) {
    const made = document.createElement(tag);
    if (text !== undefined) made.textContent = text;
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    return made;
  }

  // Text of the data, whose direction must not leak into what stands around it.
  function quoted(tag, text, attributes = {}) {
    const made = element(tag, undefined, attributes);
    made.append(element("bdi", text, { dir: "auto" }));
    return made;
  }

  async function unpack(packed) {
    const letters = atob(packed.trim());
    const bytes = new Uint8Array(letters.length);
    for (let i = 0; i < letters.length; i += 1) bytes[i] = letters.charCodeAt(i);
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return JSON.parse(await new Response(stream).text());
  }

  // ------------------------------------------------------------------ numbers, as in the report

  function number(value, unit, signed) {
    const { factor, decimals } = state.data.scale;
    const scaled = value * factor;
    const size = Math.abs(scaled).toFixed(Math.abs(scaled) < 10 ? decimals : 1);
    if (Number(size) === 0) return size + unit;
    return (scaled < 0 ? "\u2212" : signed ? "+" : "") + size + unit;
  }

  function score(value) {
    return value === null ? MISSING : number(value, state.data.scale.unit, false);
  }

  function difference(value) {
    return Number.isNaN(value) ? MISSING : number(value, state.data.scale.difference_unit, true);
  }

  function plural(count, one) {
    return count.toLocaleString("en") + " " + one + (count === 1 ? "" : "s");
  }

  // ------------------------------------------------------------------ what to show, in which order

  function sides() {
    return [state.data.sides[at("a").value], state.data.sides[at("b").value]];
  }

  function gain(item, a, b) {
    const one = a.scores[item], other = b.scores[item];
    return one === null || other === null ? NaN : state.data.sign * (one - other);
  }

  function isRight(side, item) { return side.scores[item] === state.data.full; }
  function isWrong(side, item) { return side.scores[item] !== null && !isRight(side, item); }
  function isInvalid(side, item) { return side.valid[item] === false; }

  function outcomes(a, b) {
    const graded = [
      ["better", a.name + " better", (i) => gain(i, a, b) > 0],
      ["worse", b.name + " better", (i) => gain(i, a, b) < 0],
      ["same", "same score", (i) => gain(i, a, b) === 0],
      ["unscored", "not scored for one of them", (i) => Number.isNaN(gain(i, a, b))],
    ];
    const exact = [
      ["gained", a.name + " right, " + b.name + " wrong", (i) => isRight(a, i) && isWrong(b, i)],
      ["lost", a.name + " wrong, " + b.name + " right", (i) => isWrong(a, i) && isRight(b, i)],
      ["right", "both right", (i) => isRight(a, i) && isRight(b, i)],
      ["wrong", "both wrong", (i) => isWrong(a, i) && isWrong(b, i)],
    ];
    return [
      ["all", "all items", () => true],
      ...(state.data.full === null ? [] : exact),
      ...graded,
    ];
  }

  function validities(a, b) {
    return [
      ["all", "valid or not", () => true],
      ["a", "invalid reply of " + a.name, (i) => isInvalid(a, i)],
      ["b", "invalid reply of " + b.name, (i) => isInvalid(b, i)],
      ["any", "invalid reply of any arm", (i) => state.data.sides.some((s) => isInvalid(s, i))],
    ];
  }

  // Each choice with the number of items it has; one that another pair of arms lacks falls back.
  function offer(select, choices) {
    const before = select.value;
    const count = (test) => {
      let found = 0;
      for (let i = 0; i < state.data.ids.length; i += 1) if (test(i)) found += 1;
      return found;
    };
    select.replaceChildren(...choices.map(([value, name, test]) =>
      element("option", name + " (" + count(test).toLocaleString("en") + ")", { value })));
    select.value = choices.some(([value]) => value === before) ? before : "all";
  }

  function matcher(words) {
    if (!words) return () => true;
    const { texts, ids, inputs, targets, runs } = state.data;
    if (!state.lower.length) state.lower = texts.map((text) => text.toLowerCase());
    const wanted = words.toLowerCase();
    const hit = state.lower.map((text) => text.includes(wanted));
    return (i) => hit[inputs[i]] || hit[targets[i]] || ids[i].toLowerCase().includes(wanted)
      || runs.some((run) => hit[run.replies[i]] === true);
  }

  function search() {
    const [a, b] = sides();
    const pick = (choices, name) => choices.find(([value]) => value === at(name).value)[2];
    const outcome = pick(outcomes(a, b), "outcome");
    const validity = pick(validities(a, b), "validity");
    const words = matcher(at("words").value.trim());
    const found = [];
    for (let i = 0; i < state.data.ids.length; i += 1) {
      if (outcome(i) && validity(i) && words(i)) found.push(i);
    }
    const gains = state.data.ids.map((_, i) => gain(i, a, b));
    const keys = { gain: (g) => -g, loss: (g) => g, change: (g) => -Math.abs(g) };
    const key = keys[at("order").value];
    if (key) {
      const last = (g) => (Number.isNaN(g) ? Infinity : key(g));
      found.sort((i, j) => last(gains[i]) - last(gains[j]) || i - j);
    }
    Object.assign(state, { found, gains, page: 0 });
    list();
  }

  // ------------------------------------------------------------------ the list

  function scoreCell(side, item) {
    const cell = element("td", score(side.scores[item]), { class: "number", "data-heading": side.name });
    if (isInvalid(side, item)) cell.append(" ", element("span", "invalid", { class: "invalid" }));
    return cell;
  }

  function row(item, place, a, b) {
    const { ids, texts, inputs, targets } = state.data;
    const open = quoted("button", ids[item], { type: "button", "aria-haspopup": "dialog" });
    open.addEventListener("click", () => show(place));
    const head = element("th", undefined, { scope: "row" });
    head.append(open);
    const made = element("tr");
    const excerpt = (index, heading) => {
      const cell = element("td", undefined, { class: "excerpt", "data-heading": heading });
      cell.append(quoted("div", texts[index].slice(0, 300)));
      return cell;
    };
    made.append(
      head, excerpt(inputs[item], "Text"), excerpt(targets[item], "Right answer"),
      scoreCell(a, item), scoreCell(b, item),
      element("td", difference(state.gains[item]), { class: "number", "data-heading": "Difference" }),
    );
    return made;
  }

  function list() {
    const { found, page, data } = state;
    const [a, b] = sides();
    const pages = Math.max(1, Math.ceil(found.length / PAGE));
    at("a-heading").textContent = a.name;
    at("b-heading").textContent = b.name;
    const shown = found.slice(page * PAGE, (page + 1) * PAGE);
    at("rows").replaceChildren(...shown.map((item, n) => row(item, page * PAGE + n, a, b)));
    at("count").textContent = found.length.toLocaleString("en") + " of "
      + plural(data.ids.length, "item") + (found.length === 1 ? " matches" : " match")
      + (pages > 1 ? "; page " + (page + 1).toLocaleString("en") + " of "
        + pages.toLocaleString("en") : "");
    for (const name of ["first", "previous"]) at(name).disabled = page === 0;
    for (const name of ["next", "last"]) at(name).disabled = page >= pages - 1;
    at("pages").hidden = pages === 1;
  }

  function turn(to) {
    const last = Math.max(0, Math.ceil(state.found.length / PAGE) - 1);
    state.page = Math.min(last, Math.max(0, to));
    list();
    at("table").scrollIntoView({ block: "nearest" });
  }

  // ------------------------------------------------------------------ one item

  function reply(place, item) {
    const index = state.data.runs[place].replies[item];
    const side = state.data.sides.find((s) => s.runs.length === 1 && s.runs[0] === place);
    const judged = side.valid[item] === null ? "" : isInvalid(side, item) ? ", invalid" : ", valid";
    const term = quoted("dt", side.name);
    term.append(" (score " + score(side.scores[item]) + judged + ")");
    const text = index < 0 ? "(no reply was kept)" : state.data.texts[index] || "(empty reply)";
    return [term, quoted("dd", text)];
  }

  function show(place) {
    const { data, found } = state;
    const item = found[place];
    const [a, b] = sides();
    const first = [...new Set([...a.runs, ...b.runs])];
    const rest = data.runs.map((_, run) => run).filter((run) => !first.includes(run));
    const text = data.texts[data.inputs[item]];
    at("name").replaceChildren("Item ", element("bdi", data.ids[item]));
    at("place").textContent = (place + 1).toLocaleString("en") + " of "
      + found.length.toLocaleString("en") + " listed; difference "
      + difference(state.gains[item]);
    at("replies").replaceChildren(
      ...(text ? [element("dt", "Text"), quoted("dd", text)] : []),
      element("dt", "Right answer"),
      quoted("dd", data.texts[data.targets[item]], { class: "target" }),
      ...[...first, ...rest].flatMap((run) => reply(run, item)),
    );
    at("before").disabled = place === 0;
    at("after").disabled = place === found.length - 1;
    state.open = place;
    if (!at("item").open) at("item").showModal();
    at("item").scrollTop = 0;
    at("name").focus();
  }

  // Closing leaves the reader on the item looked at last, on its own page of the list.
  function closed() {
    const page = Math.floor(state.open / PAGE);
    if (page !== state.page) turn(page);
    at("rows").children[state.open - page * PAGE]?.querySelector("button").focus();
  }

  // ------------------------------------------------------------------ beginning

  function offerChoices() {
    offer(at("outcome"), outcomes(...sides()));
    offer(at("validity"), validities(...sides()));
    search();
  }

  function listen() {
    let waiting = 0;
    at("words").addEventListener("input", () => {
      clearTimeout(waiting);
      waiting = setTimeout(search, WAIT);
    });
    for (const name of ["a", "b"]) at(name).addEventListener("change", offerChoices);
    for (const name of ["outcome", "validity", "order"]) at(name).addEventListener("change", search);
    at("reset").addEventListener("click", () => { reset(); at("words").focus(); });
    at("first").addEventListener("click", () => turn(0));
    at("previous").addEventListener("click", () => turn(state.page - 1));
    at("next").addEventListener("click", () => turn(state.page + 1));
    at("last").addEventListener("click", () => turn(Infinity));
    at("before").addEventListener("click", () => show(state.open - 1));
    at("after").addEventListener("click", () => show(state.open + 1));
    at("close").addEventListener("click", () => at("item").close());
    at("item").addEventListener("close", closed);
  }

  function reset() {
    at("words").value = "";
    at("order").value = "change";
    for (const [place, name] of ["a", "b"].entries()) at(name).value = state.data.start[place];
    for (const name of ["outcome", "validity"]) at(name).value = "all";
    offerChoices();
  }

  async function begin() {
    try {
      state.data = await unpack(at("data").textContent);
    } catch (problem) {
      at("problem").textContent = "The list of items cannot be shown: this browser cannot unpack it ("
        + problem.name + "). A newer browser can.";
      at("problem").hidden = false;
      return;
    }
    at("data").remove();
    for (const name of ["a", "b"]) {
      at(name).append(...state.data.sides.map((side, i) => element("option", side.name, { value: i })));
    }
    listen();
    reset();
    at("body").hidden = false;
  }

  begin();
})();
