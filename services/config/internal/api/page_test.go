package api

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/services/config/internal/store"
)

func TestPageTokenComesBackAsItWas(t *testing.T) {
	t.Parallel()
	at := store.OutcomePosition{DecidedAt: time.UnixMicro(1772355600123456).UTC(), ID: "outcome"}
	got, err := decodePage(7, encodePage(7, at))
	require.NoError(t, err)
	require.Equal(t, at, got)
	_, err = decodePage(8, encodePage(7, at))
	require.ErrorIs(t, err, errOtherQuery)
}

func FuzzDecodePage(f *testing.F) {
	f.Add(uint64(7), encodePage(7, store.OutcomePosition{DecidedAt: time.UnixMicro(1), ID: "x"}))
	f.Add(uint64(0), "AAAAAAAAAAD_____________AQ")
	f.Fuzz(func(t *testing.T, filters uint64, token string) {
		at, err := decodePage(filters, token)
		if err != nil {
			return
		}
		again, err := decodePage(filters, encodePage(filters, at))
		require.NoError(t, err)
		require.Equal(t, at, again)
	})
}

func TestAuditPageTokenComesBackAsItWas(t *testing.T) {
	t.Parallel()
	got, err := decodeAuditPage(7, encodeAuditPage(7, 1<<40))
	require.NoError(t, err)
	require.Equal(t, int64(1<<40), got)
	_, err = decodeAuditPage(8, encodeAuditPage(7, 1))
	require.ErrorIs(t, err, errOtherQuery)
}

func FuzzDecodeAuditPage(f *testing.F) {
	f.Add(uint64(7), encodeAuditPage(7, 12))
	f.Add(uint64(0), "AAAAAAAAAAD_____________AQ")
	f.Fuzz(func(t *testing.T, filters uint64, token string) {
		before, err := decodeAuditPage(filters, token)
		if err != nil {
			return
		}
		again, err := decodeAuditPage(filters, encodeAuditPage(filters, before))
		require.NoError(t, err)
		require.Equal(t, before, again)
	})
}

func TestRowPageTokenComesBackAsItWas(t *testing.T) {
	t.Parallel()
	for _, row := range []store.RunRow{{Number: 12}, {Number: 1 << 40, Outcome: "outcome"}} {
		got, err := decodeRow(7, encodeRow(7, row))
		require.NoError(t, err)
		require.Equal(t, row, got)
		_, err = decodeRow(8, encodeRow(7, row))
		require.ErrorIs(t, err, errOtherQuery)
	}
}

func FuzzDecodeRow(f *testing.F) {
	f.Add(uint64(7), encodeRow(7, store.RunRow{Number: 12, Outcome: "x"}))
	f.Add(uint64(0), "AAAAAAAAAAD_____________AQ")
	f.Fuzz(func(t *testing.T, filters uint64, token string) {
		row, err := decodeRow(filters, token)
		if err != nil {
			return
		}
		again, err := decodeRow(filters, encodeRow(filters, row))
		require.NoError(t, err)
		require.Equal(t, row, again)
	})
}
