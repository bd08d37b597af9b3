// Returns the texts whose contrast is below 4.5 (WCAG 2.2, 1.4.3).
const context = document.createElement("canvas").getContext("2d", { willReadFrequently: true });

// Any CSS color as red, green, blue from 0 to 255 and opacity from 0 to 1.
function parse(color) {
  context.clearRect(0, 0, 1, 1);
  context.fillStyle = color;
  context.fillRect(0, 0, 1, 1);
  const [red, green, blue, opacity] = context.getImageData(0, 0, 1, 1).data;
  return [red, green, blue, opacity / 255];
}

function over([red, green, blue, opacity], below) {
  return [red, green, blue].map((value, index) => value * opacity + below[index] * (1 - opacity));
}

function background(node) {
  if (!node) return [255, 255, 255];
  const color = parse(getComputedStyle(node).backgroundColor);
  return color[3] === 1 ? color.slice(0, 3) : over(color, background(node.parentElement));
}

function luminance(color) {
  const [red, green, blue] = color.map((value) => value / 255)
    .map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4));
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

function contrast(node) {
  const below = background(node);
  const [darker, lighter] = [luminance(over(parse(getComputedStyle(node).color), below)), luminance(below)].sort((a, b) => a - b);
  return (lighter + 0.05) / (darker + 0.05);
}

const failures = [];
const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (texts.nextNode()) {
  const node = texts.currentNode.parentElement;
  if (!texts.currentNode.data.trim() || !node.checkVisibility() || node.closest(".hidden, script, noscript")) continue;
  if (contrast(node) < 4.5) failures.push(`${contrast(node).toFixed(2)}: ${texts.currentNode.data}`);
}
return failures;
