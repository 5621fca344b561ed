package integration

import (
	"errors"
	"path"
	"sync"
	"time"
	_ "time/tzdata" // so that a zone means the same on every machine, and in an image without zone files

	"google.golang.org/protobuf/types/known/timestamppb"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
)

// CheckZoneRule says why a rule does not go with the zone that is named besides it (IMM-25).
func CheckZoneRule(rule configv1.ZoneRule, zone string) error {
	switch {
	case rule == configv1.ZoneRule_ZONE_RULE_FIXED && zone == "":
		return errors.New("ZONE_RULE_FIXED needs a time_zone such as Asia/Tokyo")
	case rule == configv1.ZoneRule_ZONE_RULE_ORG && zone != "":
		return errors.New("ZONE_RULE_ORG is the org's zone, and time_zone names another; leave one of them out")
	}
	return nil
}

// maxFormerZones bounds what is kept of an org's earlier zones (promise 7).
const maxFormerZones = 10

// FollowZone lets what an org says of itself now follow what it said before: where its default zone has changed, the new one
// counts from now on only (XC-36). It changes next; before may be nil, or another org, whose zones say nothing of this one.
func FollowZone(before, next *configv1.Org, now time.Time) {
	if before == nil || before.GetId() != next.GetId() {
		return
	}
	next.FormerZones = before.GetFormerZones()
	if before.GetTimeZone() == "" || before.GetTimeZone() == next.GetTimeZone() {
		return
	}
	former := &configv1.FormerZone{TimeZone: before.GetTimeZone(), Until: timestamppb.New(now)}
	next.FormerZones = append([]*configv1.FormerZone{former}, before.GetFormerZones()...)
	next.FormerZones = next.GetFormerZones()[:min(len(next.GetFormerZones()), maxFormerZones)]
}

// ZoneAt returns the default zone that counted in an org at a time, "" if none is known.
func ZoneAt(org *configv1.Org, at time.Time) string {
	zone := org.GetTimeZone()
	for _, former := range org.GetFormerZones() {
		if !at.Before(former.GetUntil().AsTime()) {
			break
		}
		zone = former.GetTimeZone()
	}
	return zone
}

// zones caches locations by IANA name. It holds names that exist only, so it cannot outgrow the zone database.
var zones sync.Map

// LoadZone returns the time zone with an IANA name. It refuses the empty name and "Local", which mean something else
// on every machine.
func LoadZone(name string) (*time.Location, error) {
	if z, ok := zones.Load(name); ok {
		return z.(*time.Location), nil
	}
	if name == "" || name == "Local" {
		return nil, errors.New("not the name of a time zone; use an IANA name such as Asia/Tokyo")
	}
	z, err := time.LoadLocation(name)
	if err != nil || path.Clean(name) != name { // Asia//Tokyo is a file, too, and there are endless such names
		return nil, errors.New("unknown time zone; use an IANA name such as Asia/Tokyo")
	}
	zones.Store(name, z)
	return z, nil
}
