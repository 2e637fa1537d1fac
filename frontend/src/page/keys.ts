/**
 * What Enter and Escape mean while somebody writes.
 *
 * To an input method's composition they belong to it: Enter takes a candidate, Escape drops it. Chrome and Firefox say
 * `isComposing` with such a keydown. Safari ends the composition first and then sends the keydown, with `isComposing`
 * false and `keyCode` 229 (UI Events, section 7.3.1: "processed by an input method"). Either counts.
 */

export interface KeyPress {
  key: string;
  keyCode: number;
  isComposing: boolean;
  shiftKey: boolean;
  altKey: boolean;
}

const OF_AN_INPUT_METHOD = 229;

export const isComposing = (press: Pick<KeyPress, 'keyCode' | 'isComposing'>): boolean =>
  press.isComposing || press.keyCode === OF_AN_INPUT_METHOD;

/** Enter, with Ctrl or the Command key too; with Shift or Alt it is a new line, and so it is where fingers write. */
export const isSendKey = (press: KeyPress, isTouch = writesByTouch()): boolean =>
  press.key === 'Enter' && !press.shiftKey && !press.altKey && !isTouch && !isComposing(press);

export const isCancelKey = (press: KeyPress): boolean => press.key === 'Escape' && !isComposing(press);

/** An Enter that would submit a form of single lines, though it only takes a candidate. */
export const isEnterOfComposition = (press: KeyPress): boolean => press.key === 'Enter' && isComposing(press);

/** Screen keyboards have no Shift+Enter: there Enter is the only way to a second line, and the button sends. */
function writesByTouch(): boolean {
  return matchMedia('(hover: none) and (pointer: coarse)').matches;
}
