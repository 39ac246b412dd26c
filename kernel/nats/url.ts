/**
 * The URL of a NATS server may hold a user and a password. The kernel has users of its own
 * there, and so have agents: nobody needs those of the URL, and nobody is shown them.
 */

/** The URL without who is named in it; of several, with commas between them, all of them. */
export function withoutUser(url: string): string {
  return edited(url, "");
}

/** The same, but one sees that there was somebody. */
export function redacted(url: string): string {
  return edited(url, "***@");
}

function edited(url: string, user: string): string {
  // A password may hold anything, "@" and commas too: it ends at the last "@" before the next URL.
  return url
    .split(/,(?=\w+:\/\/)/)
    .map((one) => one.replace(/^(\w+:\/\/)?.*@/s, `$1${user}`))
    .join(",");
}
