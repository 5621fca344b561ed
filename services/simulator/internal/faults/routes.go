package faults

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// The routes on which the chunks of bulk jobs and the change events are.
const (
	bulkJob         = "bulk.job"
	pubsubSubscribe = "pubsub.subscribe"
)

// Routes are all routes that the simulator has, as docs/simulator.md lists them.
var Routes = []string{
	"token", "authorize", "revoke", "introspect", "userinfo", "identity",
	"versions", "resources", "limits", "unknown",
	"describe.global", "describe.object",
	"sobject", "sobject.row", "sobject.external", "sobject.related", "sobject.updated", "sobject.deleted",
	"query", "queryall", "query.more", "tooling.query", "search", "search.parameterized",
	"collections", "collections.get", "collections.upsert",
	"composite", "composite.batch", "composite.graph", "composite.tree",
	"bulk.create", "bulk.list", "bulk.upload", bulkJob, "bulk.results",
	pubsubSubscribe,
}

// onRoute reports whether a route is one of the pattern's. "collections.*" is about "collections", too.
func onRoute(pattern, route string) (bool, error) {
	if family, isFamily := strings.CutSuffix(pattern, ".*"); isFamily {
		if ok, err := path.Match(family, route); ok || err != nil {
			return ok, err
		}
	}
	return path.Match(pattern, route)
}

// reachable returns the routes on which the rule's action can happen.
func (r *Rule) reachable() []string {
	switch {
	case r.chunks():
		return []string{bulkJob}
	case r.events():
		return []string{pubsubSubscribe}
	}
	return Routes
}

// validateRoute refuses a pattern that no request will ever be on: a rule that never hits looks like a client that stands
// every fault.
func (r *Rule) validateRoute() error {
	if r.Route == "" {
		return nil
	}
	for _, route := range r.reachable() {
		switch ok, err := onRoute(r.Route, route); {
		case err != nil:
			return fmt.Errorf("route: %w", err)
		case ok:
			return nil
		}
	}
	return fmt.Errorf("route: %q is none of %s", r.Route, strings.Join(slices.Sorted(slices.Values(r.reachable())), ", "))
}
