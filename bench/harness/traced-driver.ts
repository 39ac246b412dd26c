/** The ordinary driver with clocks around its parts: one program, so that both have the same modules. */
import "./driver-trace.js";
import "../../servers/llm/main.js";
