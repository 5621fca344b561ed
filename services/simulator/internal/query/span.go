package query

import (
	"strings"
	"time"

	"github.com/throughline-dev/throughline/services/simulator/internal/soql"
)

// span returns the first and the last day of a date literal, both included ("Date Formats and Date Literals in WHERE"). Weeks
// begin on Sunday, as in the United States' locale; the fiscal year is the calendar year.
func (e *Env) span(l soql.Literal) (from, to time.Time) {
	now := e.Now.In(e.Zone)
	y, m, d := now.Date()
	day := func(offset int) time.Time { return time.Date(y, m, d+offset, 0, 0, 0, 0, e.Zone) }
	switch l.Text {
	case "TODAY":
		return day(0), day(0)
	case "YESTERDAY":
		return day(-1), day(-1)
	case "TOMORROW":
		return day(1), day(1)
	case "LAST_90_DAYS":
		return day(-90), day(0)
	case "NEXT_90_DAYS":
		return day(1), day(90)
	case "LAST_N_DAYS":
		return day(-l.N), day(0)
	case "NEXT_N_DAYS":
		return day(1), day(l.N)
	case "N_DAYS_AGO":
		return day(-l.N), day(-l.N)
	}
	begin := func(units int) time.Time { return day(units*7 - int(now.Weekday())) }
	switch text := strings.Replace(l.Text, "FISCAL_", "", 1); {
	case strings.Contains(text, "MONTH"):
		begin = func(units int) time.Time { return time.Date(y, m+time.Month(units), 1, 0, 0, 0, 0, e.Zone) }
	case strings.Contains(text, "QUARTER"):
		first := (m-1)/3*3 + 1
		begin = func(units int) time.Time { return time.Date(y, first+time.Month(3*units), 1, 0, 0, 0, 0, e.Zone) }
	case strings.Contains(text, "YEAR"):
		begin = func(units int) time.Time { return time.Date(y+units, 1, 1, 0, 0, 0, 0, e.Zone) }
	}
	start, end := units(l)
	return begin(start), begin(end).AddDate(0, 0, -1)
}

// units returns the first unit of a literal of weeks, months, quarters or years and the one after the last, counted from the
// present one.
func units(l soql.Literal) (first, after int) {
	switch {
	case strings.HasPrefix(l.Text, "LAST_N_"):
		return -l.N, 0
	case strings.HasPrefix(l.Text, "NEXT_N_"):
		return 1, l.N + 1
	case strings.HasPrefix(l.Text, "N_"):
		return -l.N, -l.N + 1
	case strings.HasPrefix(l.Text, "LAST_"):
		return -1, 0
	case strings.HasPrefix(l.Text, "NEXT_"):
		return 1, 2
	}
	return 0, 1
}
