/**
 * Where in a context a text begins; it says whether what some tokenizers put before a
 * text (a space, most often) is put before this one.
 *
 * - `start`: nothing is before it.
 * - `section`: a whole token (a special or an added one) is before it.
 * - `text`: other text is before it, which it goes on with; nothing is put between.
 */
export type Place = "start" | "section" | "text";
