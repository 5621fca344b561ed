package trace

import (
	"time"

	"github.com/google/uuid"
)

// idTime returns the time a UUIDv7 carries.
func idTime(id string) (time.Time, bool) {
	u, err := uuid.Parse(id)
	if err != nil || u.Version() != 7 {
		return time.Time{}, false
	}
	seconds, nanos := u.Time().UnixTime()
	return time.Unix(seconds, nanos).UTC(), true
}
