// Taking numbers along: a table as CSV, a chart as PNG.

/**
 * Rows as CSV by RFC 4180. A text that a spreadsheet would run as a formula is quoted with an apostrophe: ids and pages
 * come from whoever sends events.
 */
export function csv(header, rows) {
  const cell = (value) => {
    if (value === null || value === undefined) return "";
    let text = String(value);
    if (typeof value === "string" && /^[=+\-@\t\r]/.test(text) && !/^-?\d+(\.\d+)?$/.test(text)) text = `'${text}`;
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return [header, ...rows].map((row) => row.map(cell).join(",")).join("\r\n") + "\r\n";
}

/** Hand a CSV to the reader; with the mark by which spreadsheets know UTF-8. */
export function saveCsv(name, header, rows) {
  save(new Blob(["\ufeff", csv(header, rows)], { type: "text/csv;charset=utf-8" }), `${name}.csv`);
}

/** Hand a chart's canvas to the reader as a picture that says by itself what it shows. */
export async function savePng(name, canvas, { title, note, ink, muted, background, font }) {
  const scale = canvas.width / canvas.clientWidth || 1;
  const [margin, head] = [16 * scale, 52 * scale];
  const picture = document.createElement("canvas");
  picture.width = canvas.width + 2 * margin;
  picture.height = canvas.height + head + margin;
  const context = picture.getContext("2d");
  context.fillStyle = background;
  context.fillRect(0, 0, picture.width, picture.height);
  context.fillStyle = ink;
  context.font = `600 ${16 * scale}px ${font}`;
  context.fillText(title, margin, 24 * scale);
  context.fillStyle = muted;
  context.font = `${12 * scale}px ${font}`;
  context.fillText(note, margin, 42 * scale);
  context.drawImage(canvas, margin, head);
  save(await new Promise((resolve) => { picture.toBlob(resolve, "image/png"); }), `${name}.png`);
}

function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
