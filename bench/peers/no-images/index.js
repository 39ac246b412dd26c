export default function sharp() {
  throw new Error("no images here");
}
