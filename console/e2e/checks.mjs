// What is measured in the page itself: contrast of texts, and whether the page is wider than its window.

/** Texts whose contrast with what is behind them is below WCAG's AA, as `ratio text`. */
export function lowContrast(page) {
  return page.evaluate(() => {
    const canvas = document.createElement("canvas");
    canvas.width = canvas.height = 1;
    const context = canvas.getContext("2d", { willReadFrequently: true });
    /** Any CSS colour as red, green, blue, alpha. */
    const rgba = (color) => {
      context.clearRect(0, 0, 1, 1);
      context.fillStyle = color;
      context.fillRect(0, 0, 1, 1);
      const [r, g, b, a] = context.getImageData(0, 0, 1, 1).data;
      return [r, g, b, a / 255];
    };
    const over = ([r, g, b, a], [R, G, B]) => [r * a + R * (1 - a), g * a + G * (1 - a), b * a + B * (1 - a)];
    const luminance = (color) => {
      const [r, g, b] = color.map((part) => {
        const share = part / 255;
        return share <= 0.03928 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
      });
      return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const behind = (element) => {
      const layers = [];
      for (let each = element; each !== null; each = each.parentElement) {
        const color = rgba(getComputedStyle(each).backgroundColor);
        if (color[3] > 0) layers.push(color);
        if (color[3] >= 1) break;
      }
      return layers.reverse().reduce((below, layer) => over(layer, below), [255, 255, 255]);
    };
    const bad = new Set();
    for (const element of document.querySelectorAll("body *")) {
      const own = [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.textContent.trim() !== "");
      if (!own || !element.checkVisibility({ checkOpacity: true, checkVisibilityCSS: true })) continue;
      const box = element.getBoundingClientRect();
      if (box.width < 2 || box.height < 2) continue;
      const style = getComputedStyle(element);
      const isSvg = element instanceof SVGElement;
      if (isSvg && element.tagName === "title") continue;
      const ground = behind(element);
      const color = over(rgba(isSvg ? style.fill : style.color), ground);
      const [light, dark] = [luminance(color), luminance(ground)].sort((a, b) => b - a);
      const ratio = (light + 0.05) / (dark + 0.05);
      if (ratio < 4.5) bad.add(`${ratio.toFixed(2)} "${element.textContent.trim().slice(0, 40)}" .${element.getAttribute("class")}`);
    }
    return [...bad];
  });
}

/** By how many pixels the page is wider than its window. */
export function overflow(page) {
  return page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
}

/** Controls that a screen reader could not name. */
export function nameless(page) {
  return page.evaluate(() =>
    [...document.querySelectorAll("button, a[href], input, select, [role=grid], [role=img]")]
      .filter((element) => element.checkVisibility())
      .filter((element) => {
        const label = element.getAttribute("aria-label") ?? element.textContent.trim();
        return label === "" && !(element.labels?.length > 0);
      })
      .map((element) => element.outerHTML.slice(0, 120)),
  );
}
