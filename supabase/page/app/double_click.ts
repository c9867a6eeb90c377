/**
 * Double clicks on what is meant to be pressed once.
 *
 * @module
 */
/// <reference lib="dom" />

/** How long after the first click, and how far from it, a second one makes it a double click. */
const limit = { ms: 500, pixels: 8 };

/**
 * Drops the second click of a double click if the first one has put something else under the pointer:
 * nobody has meant to press that. Browsers' own count of clicks does not help, since some of them count
 * again from one for another element.
 */
export function dropStrayClicks(page: Document): void {
  let first: MouseEvent | undefined;
  let pressed = "";
  let element: Element | undefined;
  page.addEventListener("click", (event) => {
    // A key has no place and presses what has the focus.
    if (event.detail === 0 || !(event.target instanceof Element)) return;
    const under = event.target.closest("button, label, a, summary") ?? event.target;
    const isSecond = first !== undefined && event.timeStamp - first.timeStamp < limit.ms &&
      Math.hypot(event.clientX - first.clientX, event.clientY - first.clientY) < limit.pixels;
    // An element can be drawn again as another button.
    if (isSecond && (under !== element || under.textContent !== pressed)) {
      event.preventDefault();
      event.stopPropagation();
      return;
    }
    first = event;
    element = under;
    pressed = under.textContent ?? "";
  }, { capture: true });
}
