// Package privacy answers what people may ask of their own data: it erases them and exports what is held of them (XC-31,
// XC-33). An address comes in with a request, becomes a keyed hash and is forgotten; nothing here stores, logs or answers
// one, except inside an export, which is sealed.
//
// Erasing has two sides. The suppression, part of every settings snapshot, makes the data plane stop: no stage opens or
// forwards anything about the person any more. The Worker deletes what the config service itself keeps, and writes the
// certificate. It deletes nothing in Salesforce, which is the customer's, and nothing in topics, which forget by retention.
package privacy
