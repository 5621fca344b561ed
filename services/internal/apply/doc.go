// Package apply makes settings as a file says: it reads documents of YAML or JSON and brings the config service to what
// they describe, without changing what is so already. It is what `throughline apply -f` and the demo run.
//
// A document is one setting in the form of the config API, with a kind, or the parameters of a recipe:
//
//	kind: Workspace
//	id: acme
//	name: Acme
//	---
//	recipe: document-close-task
//	workspace: acme
//	id: follow-up
//	connection: main
//
// A document describes the whole setting: what it leaves out gets its default. Only secrets left out keep their value.
package apply
