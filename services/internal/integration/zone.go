package integration

import (
	"errors"
	"sync"
	"time"
	_ "time/tzdata" // so that a zone means the same on every machine, and in an image without zone files
)

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
	if err != nil {
		return nil, errors.New("unknown time zone; use an IANA name such as Asia/Tokyo")
	}
	zones.Store(name, z)
	return z, nil
}
