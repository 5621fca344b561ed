// Package settingstest builds settings for tests:
//
//	view := settingstest.New(t).Workspace("acme").Connection("main").Integration(rule).View()
//
// What a call adds belongs to the workspace named last.
package settingstest
