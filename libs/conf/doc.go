// Package conf loads a process's configuration into a struct: defaults first, then a YAML file, then environment
// variables, then flags, each over the one before. It is strict: a key that no field takes is an error that names it,
// so that a misspelt setting never passes for a default.
//
// Settings that customers change at run time (workspaces, connections, integrations) are not configuration; the config
// service keeps those.
package conf
