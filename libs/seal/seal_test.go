package seal_test

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/throughline-dev/throughline/libs/seal"
)

type testBundle struct {
	inst    *seal.Installation
	wrapped []byte
	keys    *seal.Keys
}

func setup(tb testing.TB) *testBundle {
	tb.Helper()
	inst, err := seal.NewInstallation()
	require.NoError(tb, err)
	wrapped, err := inst.NewKeys("acme")
	require.NoError(tb, err)
	keys, err := inst.OpenKeys("acme", wrapped)
	require.NoError(tb, err)
	return &testBundle{inst: inst, wrapped: wrapped, keys: keys}
}

func TestInstallation(t *testing.T) {
	t.Parallel()

	t.Run("OpensWhatItSealed", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		sealed, err := b.inst.Seal([]byte("refresh token"), []byte("acme/main"))
		require.NoError(t, err)
		require.NotContains(t, string(sealed), "refresh token")
		plain, err := b.inst.Open(sealed, []byte("acme/main"))
		require.NoError(t, err)
		require.Equal(t, "refresh token", string(plain))
	})

	t.Run("RefusesAnotherOwner", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		sealed, err := b.inst.Seal([]byte("refresh token"), []byte("acme/main"))
		require.NoError(t, err)
		_, err = b.inst.Open(sealed, []byte("globex/main"))
		require.ErrorIs(t, err, seal.ErrOpen)
	})
}

func TestLoadOrCreateInstallation(t *testing.T) {
	t.Parallel()

	t.Run("KeepsTheKeyAcrossStarts", func(t *testing.T) {
		t.Parallel()
		path := filepath.Join(t.TempDir(), "deep", "installation.json")
		first, err := seal.LoadOrCreateInstallation(path)
		require.NoError(t, err)
		sealed, err := first.Seal([]byte("x"), nil)
		require.NoError(t, err)

		second, err := seal.LoadOrCreateInstallation(path)
		require.NoError(t, err)
		plain, err := second.Open(sealed, nil)
		require.NoError(t, err)
		require.Equal(t, "x", string(plain))

		info, err := os.Stat(path)
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
		entries, err := os.ReadDir(filepath.Dir(path))
		require.NoError(t, err)
		require.Len(t, entries, 1, "no temporary file stays behind")
	})

	t.Run("GivesEverybodyTheSameKeyWhenStartedAtOnce", func(t *testing.T) {
		t.Parallel()
		path := filepath.Join(t.TempDir(), "installation.json")
		var wg sync.WaitGroup
		sealed := make([][]byte, 8)
		for i := range sealed {
			wg.Go(func() {
				inst, err := seal.LoadOrCreateInstallation(path)
				if err == nil {
					sealed[i], _ = inst.Seal([]byte("x"), nil)
				}
			})
		}
		wg.Wait()
		inst, err := seal.LoadOrCreateInstallation(path)
		require.NoError(t, err)
		for _, s := range sealed {
			_, err := inst.Open(s, nil)
			require.NoError(t, err)
		}
	})

	t.Run("RefusesAFileOthersCanRead", func(t *testing.T) {
		t.Parallel()
		path := filepath.Join(t.TempDir(), "installation.json")
		_, err := seal.LoadOrCreateInstallation(path)
		require.NoError(t, err)
		require.NoError(t, os.Chmod(path, 0o644))
		_, err = seal.LoadOrCreateInstallation(path)
		require.ErrorContains(t, err, "chmod 0600")
	})

	t.Run("NeverReplacesADamagedFileNorQuotesIt", func(t *testing.T) {
		t.Parallel()
		path := filepath.Join(t.TempDir(), "installation.json")
		require.NoError(t, os.WriteFile(path, []byte(`{"key":"k3ymaterial"`), 0o600))
		_, err := seal.LoadOrCreateInstallation(path)
		require.ErrorContains(t, err, "restore it from a backup")
		require.NotContains(t, err.Error(), "k3ymaterial")
		data, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Contains(t, string(data), "k3ymaterial")
	})
}

func TestKeys(t *testing.T) {
	t.Parallel()

	t.Run("OpenWhatTheySealed", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		rapid.Check(t, func(t *rapid.T) {
			plain := rapid.SliceOf(rapid.Byte()).Draw(t, "plain")
			sealed, err := b.keys.Seal(plain)
			require.NoError(t, err)
			opened, err := b.keys.Open(sealed)
			require.NoError(t, err)
			require.Equal(t, string(plain), string(opened))
		})
	})

	t.Run("DoNotOpenForAnotherTenant", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		_, err := b.inst.OpenKeys("globex", b.wrapped)
		require.ErrorIs(t, err, seal.ErrOpen)

		wrapped, err := b.inst.NewKeys("globex")
		require.NoError(t, err)
		other, err := b.inst.OpenKeys("globex", wrapped)
		require.NoError(t, err)
		sealed, err := b.keys.Seal([]byte("aoi@example.jp"))
		require.NoError(t, err)
		require.NotContains(t, string(sealed), "aoi@")
		_, err = other.Open(sealed)
		require.ErrorIs(t, err, seal.ErrOpen)
		require.NotEqual(t, b.keys.PersonKey("aoi@example.jp"), other.PersonKey("aoi@example.jp"))
	})

	t.Run("DoNotOpenWithAnotherInstallation", func(t *testing.T) {
		t.Parallel()
		a, b := setup(t), setup(t)
		_, err := b.inst.OpenKeys("acme", a.wrapped)
		require.ErrorIs(t, err, seal.ErrOpen)
	})

	t.Run("NameAPersonTheSameWayAlways", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		again, err := b.inst.OpenKeys("acme", b.wrapped)
		require.NoError(t, err)
		long := strings.Repeat("a", 242) + "@example.com"
		for _, email := range []string{"aoi@example.jp", "", long} {
			key := b.keys.PersonKey(email)
			require.Len(t, key, 22)
			require.Equal(t, key, again.PersonKey(email))
		}
		require.NotEqual(t, b.keys.PersonKey("aoi@example.jp"), b.keys.PersonKey("aoi+x@example.jp"))
	})

	t.Run("HashConcurrently", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		want, hash := b.keys.PersonKey("aoi@example.jp"), b.keys.Hash([]byte("content"))
		require.Len(t, hash, 16)
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for range 500 {
					if b.keys.PersonKey("aoi@example.jp") != want || string(b.keys.Hash([]byte("content"))) != string(hash) {
						t.Error("hash differs")
					}
				}
			})
		}
		wg.Wait()
	})
}

func FuzzOpenKeys(f *testing.F) {
	b := setup(f)
	f.Add(b.wrapped)
	f.Add([]byte{1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1})
	f.Fuzz(func(t *testing.T, wrapped []byte) {
		keys, err := b.inst.OpenKeys("acme", wrapped)
		if err != nil {
			require.ErrorIs(t, err, seal.ErrOpen)
			return
		}
		require.Equal(t, b.keys.PersonKey("x@example.com"), keys.PersonKey("x@example.com"))
	})
}

func FuzzOpen(f *testing.F) {
	b := setup(f)
	sealed, err := b.keys.Seal([]byte("aoi@example.jp"))
	require.NoError(f, err)
	f.Add(sealed)
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, sealed []byte) {
		if _, err := b.keys.Open(sealed); err != nil {
			require.ErrorIs(t, err, seal.ErrOpen)
		}
		if _, err := b.inst.Open(sealed, nil); err != nil {
			require.ErrorIs(t, err, seal.ErrOpen)
		}
	})
}

var subject = []byte("viewer.name+tag@customer.example.co.jp\x00Viewer Name")

func BenchmarkKeysSeal(b *testing.B) {
	bundle := setup(b)
	b.ReportAllocs()
	for b.Loop() {
		_, _ = bundle.keys.Seal(subject)
	}
}

func BenchmarkKeysOpen(b *testing.B) {
	bundle := setup(b)
	sealed, err := bundle.keys.Seal(subject)
	require.NoError(b, err)
	b.ReportAllocs()
	for b.Loop() {
		_, _ = bundle.keys.Open(sealed)
	}
}

func BenchmarkPersonKey(b *testing.B) {
	bundle := setup(b)
	b.ReportAllocs()
	for b.Loop() {
		_ = bundle.keys.PersonKey("viewer.name+tag@customer.example.co.jp")
	}
}

func BenchmarkInstallationSeal(b *testing.B) {
	bundle := setup(b)
	b.ReportAllocs()
	for b.Loop() {
		_, _ = bundle.inst.Seal(subject, []byte("acme"))
	}
}
