// Package settings gives the data plane its settings: an immutable View of every workspace at one revision, and a
// Client that keeps the newest one by watching the config service.
//
// A service reads View once per batch and uses that one throughout, so that a batch is shaped by one revision. The client
// saves what it gets and starts from the saved one while config is away; without either it has no view, and a service waits
// rather than guesses. It tells config which revision it has and gets what changed since; what did not change is shared
// between the old view and the new one.
package settings
