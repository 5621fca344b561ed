// Package redact shows messages without what their fields marked debug_redact hold: secrets, tokens and personal data. The
// messages that have such fields, or hold messages that do, show themselves this way to fmt, slog, encoding/json and YAML;
// protoc-gen-go-redact writes the methods for that.
//
// Text that is asked of a message by its own String method, prototext or protojson is not redacted: it is an encoding. Give
// those Copy's result.
package redact
