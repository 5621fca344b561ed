package rest

import (
	"net/url"
	"strconv"
	"strings"

	"github.com/throughline-dev/throughline/services/simulator/internal/bulk"
	"github.com/throughline-dev/throughline/services/simulator/internal/sfid"
)

// Routes as faults and statistics name them.
const (
	routeVersions          = "versions"
	routeResources         = "resources"
	routeLimits            = "limits"
	routeGlobal            = "describe.global"
	routeDescribe          = "describe.object"
	routeObject            = "sobject"
	routeRow               = "sobject.row"
	routeExternal          = "sobject.external"
	routeRelated           = "sobject.related"
	routeUpdated           = "sobject.updated"
	routeDeleted           = "sobject.deleted"
	routeQuery             = "query"
	routeQueryAll          = "queryall"
	routeQueryMore         = "query.more"
	routeTooling           = "tooling.query"
	routeCollection        = "collections"
	routeCollectionObject  = "collections.get"
	routeCollectionUpsert  = "collections.upsert"
	routeComposite         = "composite"
	routeBatch             = "composite.batch"
	routeGraph             = "composite.graph"
	routeTree              = "composite.tree"
	routeSearch            = "search"
	routeParameterized     = "search.parameterized"
	routeBulkCreate        = "bulk.create"
	routeBulkList          = "bulk.list"
	routeBulkUpload        = "bulk.upload"
	routeBulkJob           = "bulk.job"
	routeBulkResults       = "bulk.results"
	routeUnknown           = "unknown"
	currentVersion         = 67
	firstVersion           = 31
	versionCreated         = 46 // upserts tell whether they created
	versionCreateByIDField = 37
)

// route is what a path means.
type route struct {
	name    string
	version int
	object  string
	id      string
	field   string
	value   string
	locator string
	kind    bulk.Kind // of a bulk job
	part    bulk.Part
}

// path is the version's path, for addresses in answers.
func (r *route) path() string { return "/services/data/v" + strconv.Itoa(r.version) + ".0" }

// parseRoute reads an escaped path.
func parseRoute(escaped string) route {
	rest, isData := strings.CutPrefix(escaped, "/services/data")
	if !isData {
		return route{name: routeUnknown}
	}
	parts := strings.Split(strings.Trim(rest, "/"), "/")
	for i, part := range parts {
		plain, err := url.PathUnescape(part)
		if err != nil {
			return route{name: routeUnknown}
		}
		parts[i] = plain
	}
	if parts[0] == "" {
		return route{name: routeVersions, version: currentVersion}
	}
	version, isVersion := parseVersion(parts[0])
	if !isVersion {
		return route{name: routeUnknown}
	}
	r := resourceRoute(parts[1:])
	r.version = version
	return r
}

func parseVersion(s string) (int, bool) {
	number, isVersion := strings.CutPrefix(s, "v")
	major, minor, _ := strings.Cut(number, ".")
	n, err := strconv.Atoi(major)
	return n, isVersion && err == nil && minor == "0" && n > 0
}

func resourceRoute(parts []string) route {
	if len(parts) == 0 {
		return route{name: routeResources}
	}
	switch head := parts[0]; {
	case head == "limits" && len(parts) == 1:
		return route{name: routeLimits}
	case head == "query" && len(parts) == 1:
		return route{name: routeQuery}
	case head == "queryAll" && len(parts) == 1:
		return route{name: routeQueryAll}
	case (head == "query" || head == "queryAll") && len(parts) == 2:
		return route{name: routeQueryMore, locator: parts[1]}
	case head == "tooling" && len(parts) == 2 && parts[1] == "query":
		return route{name: routeTooling}
	case head == "search" && len(parts) == 1:
		return route{name: routeSearch}
	case head == "parameterizedSearch" && len(parts) == 1:
		return route{name: routeParameterized}
	case head == "sobjects":
		return objectRoute(parts[1:])
	case head == "composite":
		return compositeRoute(parts[1:])
	case head == "jobs":
		return jobRoute(parts[1:])
	}
	return route{name: routeUnknown}
}

func objectRoute(parts []string) route {
	switch {
	case len(parts) == 0:
		return route{name: routeGlobal}
	case len(parts) == 1:
		return route{name: routeObject, object: parts[0]}
	case len(parts) == 2 && parts[1] == "describe":
		return route{name: routeDescribe, object: parts[0]}
	case len(parts) == 2 && parts[1] == "updated":
		return route{name: routeUpdated, object: parts[0]}
	case len(parts) == 2 && parts[1] == "deleted":
		return route{name: routeDeleted, object: parts[0]}
	case len(parts) == 2:
		return route{name: routeRow, object: parts[0], id: parts[1]}
	case len(parts) == 3 && looksLikeID(parts[1]):
		return route{name: routeRelated, object: parts[0], id: parts[1], field: parts[2]}
	case len(parts) == 3:
		return route{name: routeExternal, object: parts[0], field: parts[1], value: parts[2]}
	}
	return route{name: routeUnknown}
}

func compositeRoute(parts []string) route {
	switch {
	case len(parts) == 0:
		return route{name: routeComposite}
	case parts[0] == "batch" && len(parts) == 1:
		return route{name: routeBatch}
	case parts[0] == "graph" && len(parts) == 1:
		return route{name: routeGraph}
	case parts[0] == "tree" && len(parts) == 2:
		return route{name: routeTree, object: parts[1]}
	case parts[0] != "sobjects":
		return route{name: routeUnknown}
	case len(parts) == 1:
		return route{name: routeCollection}
	case len(parts) == 2:
		return route{name: routeCollectionObject, object: parts[1]}
	case len(parts) == 3:
		return route{name: routeCollectionUpsert, object: parts[1], field: parts[2]}
	}
	return route{name: routeUnknown}
}

// jobRoute reads what follows /jobs. Whether a request without an id makes a job or lists them is up to its method.
func jobRoute(parts []string) route {
	if len(parts) == 0 || len(parts) > 3 || (parts[0] != string(bulk.Ingest) && parts[0] != string(bulk.Query)) {
		return route{name: routeUnknown}
	}
	r := route{kind: bulk.Kind(parts[0])}
	if len(parts) > 1 {
		r.id = parts[1]
	}
	switch {
	case len(parts) == 1:
		r.name = routeBulkCreate
	case len(parts) == 2:
		r.name = routeBulkJob
	case r.kind == bulk.Query && parts[2] == "results":
		r.name = routeBulkResults
	case r.kind == bulk.Query:
		r.name = routeUnknown
	case parts[2] == "batches":
		r.name = routeBulkUpload
	default:
		r.name = routeUnknown
		for _, part := range []bulk.Part{bulk.Successful, bulk.FailedRows, bulk.Unprocessed} {
			if strings.EqualFold(parts[2], string(part)) {
				r.name, r.part = routeBulkResults, part
			}
		}
	}
	return r
}

// looksLikeID tells an id from other texts.
func looksLikeID(s string) bool {
	_, err := sfid.Long(s)
	return err == nil
}
