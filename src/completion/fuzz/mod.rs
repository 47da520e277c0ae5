//! Promise P5 for what strangers write: a client's request, a provider's stream and its JSON.

mod facts;
mod relay;
mod request;
mod sse;

/// A stream as providers write it.
const STREAMS: [&str; 5] = [
    "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hi\"}}]}\n\ndata: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: {\"id\":\"c\",\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2}}\n\ndata: [DONE]\n\n",
    ": OPENROUTER PROCESSING\r\n\r\nevent: message\r\nid: 7\r\ndata:{\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0}]},\"finish_reason\":null}],\"usage\":null}\r\n\r\ndata: [DONE]\r\n\r\n",
    "\u{feff}data: {\"choices\":\rdata: []}\r\rdata: {\"error\":{\"code\":429,\"message\":\"no\"}}\r\r",
    "data: {\"choices\":[{\"delta\":{\"reasoning\":\"\\u00e9\"},\"finish_reason\":\"length\"}],\"usage\":{\"prompt_tokens\":-1,\"completion_tokens\":1e15},\"usage\":{\"prompt_tokens\":1}}\n\n",
    "data\ndata:\n\nretry: 5\n\ndata: 7",
];

/// What streams and their JSON are made of.
const WORDS: [&str; 40] = [
    "data:",
    "data: ",
    "\n",
    "\n\n",
    "\r",
    "\r\n",
    "\r\n\r\n",
    "\u{feff}",
    ": ping\n\n",
    "event: error\n",
    "data: [DONE]\n\n",
    "[DONE]",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "null",
    "true",
    "\"\"",
    "\\u0000",
    "\\ud800",
    "\"id\":",
    "\"choices\":[",
    "\"delta\":{",
    "\"message\":{",
    "\"content\":\"x\"",
    "\"content\":[{\"type\":\"text\"}]",
    "\"finish_reason\":\"stop\"",
    "\"usage\":{\"prompt_tokens\":1}",
    "\"usage\":null",
    "\"prompt_tokens\":",
    "\"completion_tokens\":",
    "\"prompt_tokens_details\":{\"cached_tokens\":9}",
    "\"error\":{}",
    "\"tool_calls\":[{}]",
    "\"refusal\":null",
    "\"reasoning\":\"\"",
    "\"index\":",
];
