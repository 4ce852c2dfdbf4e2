"use strict";
// Sorting, filtering, enlarging, numbers under the mouse, downloads. Without it the page is whole.
(() => {
  const make = (tag, props = {}, ...inside) => {
    const element = Object.assign(document.createElement(tag), props);
    element.append(...inside);
    return element;
  };
  const data = (id) => {
    const found = document.getElementById(id);
    return found ? JSON.parse(found.textContent) : undefined;
  };
  const save = (name, text, type) => {
    const link = make("a", { href: URL.createObjectURL(new Blob([text], { type })), download: name });
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  };

  // A click on the head of a column sorts the rows of each body; what has no number stays last.
  const value = (row, column) => {
    const cell = row.cells[column];
    if (!cell) return "";
    if (cell.dataset.v !== undefined) return Number(cell.dataset.v);
    const text = cell.textContent.trim();
    const number = parseFloat(text.replace("−", "-"));
    return !Number.isFinite(number) || /^[^-\d.]/.test(text.replace("−", "-")) ? text : number;
  };
  const empty = (v) => v === "" || v === "–" || v === "undefined";
  const sort = (table, column, down) => {
    for (const body of table.tBodies) {
      const rows = [...body.rows].filter((row) => row.querySelector("td"));
      const keyed = rows.map((row, i) => ({ row, i, v: value(row, column) }));
      keyed.sort((a, b) => {
        if (empty(a.v) || empty(b.v)) return empty(a.v) - empty(b.v) || a.i - b.i;
        const order = typeof a.v === "number" && typeof b.v === "number"
          ? a.v - b.v : String(a.v).localeCompare(String(b.v));
        return (down ? -order : order) || a.i - b.i;
      });
      body.append(...keyed.map((k) => k.row));
    }
  };
  for (const table of document.querySelectorAll("table.sortable")) {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => {
      if (head.classList.contains("picture")) return;
      const button = make("button", { type: "button", className: "sort" }, ...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const down = head.getAttribute("aria-sort") === "ascending";
        heads.forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        sort(table, column, down);
      });
    });
  }

  // A list for each word that rows differ in, how many are shown, and these as CSV.
  const quoted = (text) => (/[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  const csv = (table) => {
    const columns = [...table.tHead.rows[0].cells].map((head, i) => ({ head, i }))
      .filter(({ head }) => !head.classList.contains("picture"));
    const shown = [...table.tBodies[0].rows].filter((row) => !row.hidden);
    const cell = (row, i) => row.cells[i].dataset.v ?? row.cells[i].textContent.trim().replace(/^–$/, "");
    const lines = [columns.map(({ head }) => head.textContent.trim()).concat("file")];
    for (const row of shown) {
      lines.push(columns.map(({ i }) => cell(row, i)).concat(row.dataset.file));
    }
    return lines.map((line) => line.map(quoted).join(",")).join("\r\n") + "\r\n";
  };
  for (const gallery of document.querySelectorAll(".gallery")) {
    const table = gallery.querySelector("table");
    const rows = [...table.tBodies[0].rows];
    const bar = make("div", { className: "filters" });
    const count = make("output");
    const chosen = {};
    const apply = () => {
      let shown = 0;
      for (const row of rows) {
        row.hidden = Object.entries(chosen).some(([key, wanted]) => wanted && row.dataset[key] !== wanted);
        shown += !row.hidden;
      }
      count.textContent = `${shown} of ${rows.length} images`;
    };
    for (const key of ["model", "method", "eps", "label", "class", "success"]) {
      const values = [...new Set(rows.map((row) => row.dataset[key]))].filter(Boolean);
      if (values.length < 2) continue;
      values.sort((a, b) => a.localeCompare(b, undefined, { numeric: true }));
      const select = make("select", { name: key }, make("option", { value: "" }, "all"));
      values.forEach((v) => select.append(make("option", { value: v }, v)));
      select.addEventListener("change", () => { chosen[key] = select.value; apply(); });
      bar.append(make("label", {}, key === "eps" ? "ε" : key, " ", select));
    }
    const button = make("button", { type: "button", className: "save" }, "these rows as CSV");
    button.addEventListener("click", () => save(`${gallery.dataset.name}.csv`, csv(table), "text/csv"));
    bar.append(count, button);
    gallery.querySelector(".scroll").before(bar);
    apply();
  }

  // A number of a map from its colour: shares of the top, to one of 255 steps.
  const colours = data("colours") ?? {};
  const told = make("div", { className: "told", hidden: true });
  document.body.append(told);
  const pixels = new WeakMap();
  const read = (img) => {
    if (!pixels.has(img)) {
      const canvas = make("canvas", { width: img.naturalWidth, height: img.naturalHeight });
      const context = canvas.getContext("2d", { willReadFrequently: true });
      context.drawImage(img, 0, 0);
      pixels.set(img, context.getImageData(0, 0, canvas.width, canvas.height));
    }
    return pixels.get(img);
  };
  const nearest = (scale, rgb) => {
    let best = 0;
    let least = Infinity;
    scale.forEach((c, i) => {
      const far = (c[0] - rgb[0]) ** 2 + (c[1] - rgb[1]) ** 2 + (c[2] - rgb[2]) ** 2;
      if (far < least) [least, best] = [far, i];
    });
    return best / (scale.length - 1);
  };
  const number = (v) => v.toPrecision(2).replace("-", "−");
  const describe = (img, x, y) => {
    const at = read(img);
    const rgb = [...at.data.slice(4 * (y * at.width + x), 4 * (y * at.width + x) + 3)];
    const { scale, top, step } = img.dataset;
    const place = `row ${y * step}, column ${x * step}`;
    if (!colours[scale]) return `${place}: ${rgb.map((c) => (c / 255).toFixed(2)).join(", ")}`;
    const share = scale === "signed" ? 2 * nearest(colours[scale], rgb) - 1 : nearest(colours[scale], rgb);
    const clipped = Math.abs(share) > 0.995 ? (share > 0 ? "at least " : "at most ") : "about ";
    return `${place}: ${clipped}${number(share * top)}`;
  };
  document.addEventListener("mousemove", (event) => {
    const img = event.target.closest?.("img[data-scale]");
    told.hidden = !img || !img.naturalWidth;
    if (told.hidden) return;
    const box = img.getBoundingClientRect();
    const along = (from, length, n) => Math.min(n - 1, Math.max(0, Math.floor((from / length) * n)));
    const x = along(event.clientX - box.left, box.width, img.naturalWidth);
    const y = along(event.clientY - box.top, box.height, img.naturalHeight);
    told.textContent = describe(img, x, y);
    told.style.left = `${Math.min(event.clientX + 12, innerWidth - told.offsetWidth - 8)}px`;
    told.style.top = `${event.clientY + 16}px`;
    (img.closest("dialog") ?? document.body).append(told);
  });

  // A row enlarged, with its numbers and where its tensors are.
  const dialog = make("dialog", { id: "enlarged" });
  document.body.append(dialog);
  const enlarge = (row) => {
    const heads = [...row.closest("table").tHead.rows[0].cells];
    const facts = make("dl");
    [...row.cells].forEach((cell, i) => {
      if (cell.classList.contains("picture")) return;
      facts.append(make("dt", {}, heads[i].textContent), make("dd", {}, cell.textContent));
    });
    const figures = make("div", { className: "large" });
    for (const zoom of row.querySelectorAll(".zoom")) {
      const img = zoom.querySelector("img").cloneNode();
      img.removeAttribute("width");
      img.removeAttribute("height");
      const name = `${row.dataset.method}-${row.dataset.index}-${zoom.dataset.title}.png`;
      const link = make("a", { href: img.src, download: name.replace(/[^\w.-]+/g, "-") }, "save");
      figures.append(make("figure", {}, img, make("figcaption", {}, zoom.dataset.title, " ", link)));
    }
    const close = make("button", { type: "button", className: "close" }, "close");
    close.addEventListener("click", () => dialog.close());
    const file = make("a", { href: row.dataset.file, download: "" }, row.dataset.file);
    const title = make("h3", { id: "enlarged-title" },
      `image ${row.dataset.index}: ${row.dataset.class}, by ${row.dataset.method}`);
    dialog.setAttribute("aria-labelledby", title.id);
    const where = make("p", { className: "note" }, `tensors: image ${row.dataset.index} of `, file);
    dialog.replaceChildren(close, title, figures, facts, where);
    dialog.showModal();
  };
  document.addEventListener("click", (event) => {
    const zoom = event.target.closest(".zoom");
    if (zoom) enlarge(zoom.closest("tr"));
    else if (event.target === dialog) dialog.close();
  });

  // Every chart as a file, and every number of the page.
  for (const svg of document.querySelectorAll(".charts svg")) {
    const button = make("button", { type: "button", className: "save" }, "save as SVG");
    button.addEventListener("click", () => {
      const copy = svg.cloneNode(true);
      copy.setAttribute("xmlns", "http://www.w3.org/2000/svg");
      copy.setAttribute("font-family", "DejaVu Sans, sans-serif");
      const name = svg.getAttribute("aria-label").slice(0, 60).replace(/[^\w.-]+/g, "-");
      save(`${name}.svg`, new XMLSerializer().serializeToString(copy), "image/svg+xml");
    });
    const box = make("div", { className: "chart-box" });
    svg.replaceWith(box);
    box.append(svg, button);
  }
  const all = data("results-csv");
  if (all !== undefined) {
    const button = make("button", { type: "button", className: "save", id: "save-results" }, "all numbers as CSV");
    button.addEventListener("click", () => save("results.csv", all, "text/csv"));
    document.querySelector("footer").prepend(make("p", {}, button));
  }
})();
