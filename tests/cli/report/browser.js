"use strict";
// What a reader does on the page. Downloads are caught instead of saved.
(async () => {
  const found = {};
  const blobs = [];
  const wait = (ms) => new Promise((done) => setTimeout(done, ms));
  URL.createObjectURL = (blob) => { blobs.push(blob); return "#"; };
  URL.revokeObjectURL = () => {};
  const saved = async (button) => { button.click(); return blobs.pop().text(); };
  try {
    if (innerWidth < 600) document.documentElement.style.width = "400px";
    found.width = document.documentElement.offsetWidth;
    // Before anything is changed: how high rows are, and whether the page is wider than its window.
    const rows = [...document.querySelectorAll("tr")].map((row) => ({ row, height: row.getBoundingClientRect().height }));
    rows.sort((a, b) => b.height - a.height);
    found.tallest = rows[0].height;
    found.row = rows[0].row.textContent.trim().slice(0, 80);
    found.overflow = document.body.scrollWidth - document.body.clientWidth;
    const controls = [...document.querySelectorAll("button, select, a[href]")];
    const name = (c) => c.textContent.trim() || c.getAttribute("aria-label") || c.querySelector("img")?.alt || c.labels?.[0]?.textContent;
    found.unnamed = controls.filter((control) => !name(control)).length;
    found.title = document.title;

    const gallery = document.querySelector('.gallery[data-name="attacked-images"]');
    const table = gallery.querySelector("table");
    const heads = [...table.tHead.rows[0].cells];
    const column = heads.findIndex((head) => head.textContent.trim() === "k-in");
    const shown = () => [...table.tBodies[0].rows].filter((row) => !row.hidden);
    const values = () => shown().map((row) => Number(row.cells[column].dataset.v));
    heads[column].querySelector("button").click();
    found.up = values();
    heads[column].querySelector("button").click();
    found.down = values();
    found.aria = heads[column].getAttribute("aria-sort");

    found.classes = shown().map((row) => row.dataset.label);
    const select = gallery.querySelector('select[name="label"]');
    select.value = select.options[1].value;
    select.dispatchEvent(new Event("change"));
    found.class = select.value;
    found.filtered = shown().length;
    found.told = gallery.querySelector("output").textContent;
    found.rows = await saved(gallery.querySelector(".filters .save"));
    found.results = await saved(document.getElementById("save-results"));
    found.svg = await saved(document.querySelector(".chart-box .save"));

    const zoom = shown()[0].querySelectorAll(".zoom")[1];
    zoom.focus();
    zoom.click();
    const dialog = document.getElementById("enlarged");
    found.enlarged = dialog.open;
    found.large = dialog.querySelectorAll("figure img").length;
    found.link = [...dialog.querySelectorAll("a")].pop().href;
    const img = dialog.querySelectorAll("figure img")[1];
    await img.decode();
    const box = img.getBoundingClientRect();
    img.dispatchEvent(new MouseEvent("mousemove", { bubbles: true, clientX: box.left + 5, clientY: box.top + 5 }));
    found.hover = document.querySelector(".told").textContent;
    dialog.querySelector(".close").click();
    found.closed = !dialog.open;
    await wait(10);
  } catch (error) {
    found.error = String(error.stack);
  }
  const pre = document.createElement("pre");
  pre.id = "found";
  pre.textContent = JSON.stringify(found);
  document.body.append(pre);
})();
