/** The signals that a process may send another, without their SIG. */
export const SIGNALS = ["INT", "TERM", "KILL", "STOP", "CONT", "USR1", "ALRM"] as const;
