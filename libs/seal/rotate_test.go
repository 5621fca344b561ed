package seal_test

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/throughline-dev/throughline/libs/seal"
)

var epoch = time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)

// keyFile makes an installation in a file.
func keyFile(t require.TestingT, dir string) (seal.File, *seal.Installation) {
	f := seal.File{Path: filepath.Join(dir, "installation.key")}
	inst, err := f.LoadOrCreate(epoch)
	require.NoError(t, err)
	return f, inst
}

func TestRotation(t *testing.T) {
	t.Parallel()

	t.Run("GoesThroughItsStates", func(t *testing.T) {
		t.Parallel()
		f, inst := keyFile(t, t.TempDir())
		first := inst.Primary()
		old, err := inst.Seal([]byte("x"), nil)
		require.NoError(t, err)

		second, err := f.AddKey(epoch.Add(time.Hour))
		require.NoError(t, err)
		_, err = f.AddKey(epoch)
		require.ErrorIs(t, err, seal.ErrKeyState, "one standby key at a time")
		changed, err := inst.Reload()
		require.NoError(t, err)
		require.True(t, changed)
		require.Equal(t, first, inst.Primary(), "a standby key does not seal")

		require.ErrorIs(t, f.Disable(first), seal.ErrKeyState, "the primary key stays")
		require.ErrorIs(t, f.Disable(second), seal.ErrKeyState, "nor is a standby one disabled")
		require.NoError(t, f.Promote(second, epoch.Add(2*time.Hour)))
		require.ErrorIs(t, f.Promote(first, epoch), seal.ErrKeyState, "there is no way back")
		require.ErrorIs(t, f.Promote(7, epoch), seal.ErrNoKey)
		changed, err = inst.Reload()
		require.NoError(t, err)
		require.True(t, changed)
		keys, err := inst.Keys()
		require.NoError(t, err)
		require.Equal(t, []seal.KeyInfo{
			{ID: first, State: seal.KeyRetired, Times: seal.Times{Made: epoch, Promoted: epoch, Retired: epoch.Add(2 * time.Hour)}},
			{ID: second, State: seal.KeyPrimary, Times: seal.Times{Made: epoch.Add(time.Hour), Promoted: epoch.Add(2 * time.Hour)}},
		}, keys)
		id, ok := seal.KeyOf(old)
		require.True(t, ok)
		require.Equal(t, first, id)
		_, err = inst.Open(old, nil)
		require.NoError(t, err, "a retired key opens")

		resealed, err := inst.Reseal(old, nil)
		require.NoError(t, err)
		again, err := inst.Reseal(resealed, nil)
		require.NoError(t, err)
		require.Nil(t, again, "once is enough")

		require.ErrorIs(t, f.Delete(first), seal.ErrKeyState, "disable it first")
		require.NoError(t, f.Disable(first))
		inst, err = f.Load()
		require.NoError(t, err)
		_, err = inst.Open(old, nil)
		require.ErrorIs(t, err, seal.ErrOpen)
		_, err = inst.Reseal(old, nil)
		require.ErrorIs(t, err, seal.ErrOpen)
		plain, err := inst.Open(resealed, nil)
		require.NoError(t, err)
		require.Equal(t, "x", string(plain))

		require.NoError(t, f.Enable(first))
		_, err = inst.Open(old, nil)
		require.NoError(t, err, "enabling it undoes that, without a restart")
		require.NoError(t, f.Disable(first))
		require.NoError(t, f.Delete(first))
		require.ErrorIs(t, f.Enable(first), seal.ErrNoKey)
	})

	t.Run("ReadsTheFormOfOlderPrograms", func(t *testing.T) {
		t.Parallel()
		path := filepath.Join(t.TempDir(), "installation.key")
		require.NoError(t, os.WriteFile(path, []byte(olderFile), 0o600))
		f := seal.File{Path: path}
		inst, err := f.Load()
		require.NoError(t, err)
		sealed, err := inst.Seal([]byte("x"), nil)
		require.NoError(t, err)
		id, err := f.AddKey(epoch)
		require.NoError(t, err)
		require.NoError(t, f.Promote(id, epoch))
		inst, err = f.Load()
		require.NoError(t, err)
		_, err = inst.Open(sealed, nil)
		require.NoError(t, err)
		require.Equal(t, id, inst.Primary())
	})

	t.Run("KeepsItsKeysWhileTheFileCannotBeRead", func(t *testing.T) {
		t.Parallel()
		f, inst := keyFile(t, t.TempDir())
		sealed, err := inst.Seal([]byte("x"), nil)
		require.NoError(t, err)
		foreign, err := seal.NewInstallation()
		require.NoError(t, err)
		unknown, err := foreign.Seal([]byte("x"), nil)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(f.Path, []byte("{"), 0o600))
		_, err = inst.Reload()
		require.ErrorContains(t, err, "restore it")
		_, err = inst.Open(sealed, nil)
		require.NoError(t, err)
		_, err = inst.Open(unknown, nil)
		require.Error(t, err)
		require.NotErrorIs(t, err, seal.ErrOpen, "nobody may conclude that it never opens")
	})

	t.Run("RefusesAFileOfANewerProgram", func(t *testing.T) {
		t.Parallel()
		path := filepath.Join(t.TempDir(), "installation.key")
		require.NoError(t, os.WriteFile(path, []byte(`{"throughline_keyset":2,"keyset":{}}`), 0o600))
		_, err := seal.LoadInstallation(path)
		require.ErrorContains(t, err, "not a keyset")
	})
}

// olderFile is what the first programs made.
const olderFile = `{"primaryKeyId":1905023417,"key":[{"keyData":{"typeUrl":"type.googleapis.com/google.crypto.tink.AesGcmKey",
"value":"GiBkZmtqaGRma2poZGZramhkZmtqaGRma2poZGZrMTIzNA==","keyMaterialType":"SYMMETRIC"},"status":"ENABLED",
"keyId":1905023417,"outputPrefixType":"TINK"}]}`

// Whatever order processes notice a rotation in, nobody meets a sealed value that does not open.
func TestNothingBecomesUnreadableDuringRotation(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		run, err := os.MkdirTemp(dir, "")
		require.NoError(t, err)
		f, first := keyFile(t, run)
		processes := []*seal.Installation{first}
		for range 2 {
			inst, err := f.Load()
			require.NoError(t, err)
			processes = append(processes, inst)
		}
		wrapped, err := first.NewKeys("acme")
		require.NoError(t, err)
		before, err := first.OpenKeys("acme", wrapped)
		require.NoError(t, err)
		var values [][]byte
		person := before.PersonKey("aoi@example.jp")
		subject, err := before.Seal([]byte("subject"))
		require.NoError(t, err)
		process := rapid.Custom(func(t *rapid.T) *seal.Installation { return rapid.SampledFrom(processes).Draw(t, "process") })
		state := func(want seal.KeyState) uint32 {
			inst, err := f.Load()
			require.NoError(t, err)
			keys, err := inst.Keys()
			require.NoError(t, err)
			for _, k := range keys {
				if k.State == want {
					return k.ID
				}
			}
			return 0
		}
		t.Repeat(map[string]func(*rapid.T){
			"seal": func(t *rapid.T) {
				sealed, err := process.Draw(t, "p").Seal([]byte("value"), []byte("a"))
				require.NoError(t, err)
				values = append(values, sealed)
			},
			"reload": func(t *rapid.T) {
				_, err := process.Draw(t, "p").Reload()
				require.NoError(t, err)
			},
			"add": func(*rapid.T) {
				if _, err := f.AddKey(epoch); err != nil && !errors.Is(err, seal.ErrKeyState) {
					t.Fatal(err)
				}
			},
			"promote": func(*rapid.T) {
				if id := state(seal.KeyStandby); id != 0 {
					require.NoError(t, f.Promote(id, epoch))
				}
			},
			"rewrap": func(t *rapid.T) {
				p := process.Draw(t, "p")
				for n, v := range values {
					next, err := p.Reseal(v, []byte("a"))
					require.NoError(t, err)
					if next != nil {
						values[n] = next
					}
				}
				next, err := p.RewrapKeys("acme", wrapped)
				require.NoError(t, err)
				if next != nil {
					wrapped = next
				}
			},
			"tenant": func(t *rapid.T) {
				p := process.Draw(t, "p")
				keys, err := p.SealingKeys("acme", wrapped)
				require.NoError(t, err)
				if last := keys[len(keys)-1]; last.State == seal.KeyStandby {
					wrapped, err = p.PromoteSealingKey("acme", wrapped, last.ID)
				} else {
					wrapped, _, err = p.AddSealingKey("acme", wrapped)
				}
				require.NoError(t, err)
			},
			"": func(*rapid.T) {
				for _, p := range processes {
					for _, v := range values {
						plain, err := p.Open(v, []byte("a"))
						require.NoError(t, err)
						require.Equal(t, "value", string(plain))
					}
					keys, err := p.OpenKeys("acme", wrapped)
					require.NoError(t, err)
					require.Equal(t, person, keys.PersonKey("aoi@example.jp"), "people stay the same")
					plain, err := keys.Open(subject)
					require.NoError(t, err)
					require.Equal(t, "subject", string(plain))
				}
			},
		})
	})
}

func TestSealingKeysOfATenant(t *testing.T) {
	t.Parallel()
	b := setup(t)
	next, id, err := b.inst.AddSealingKey("acme", b.wrapped)
	require.NoError(t, err)
	_, _, err = b.inst.AddSealingKey("acme", next)
	require.ErrorIs(t, err, seal.ErrKeyState)
	_, err = b.inst.PromoteSealingKey("acme", next, 7)
	require.ErrorIs(t, err, seal.ErrNoKey)
	_, _, err = b.inst.AddSealingKey("globex", next)
	require.ErrorIs(t, err, seal.ErrOpen)
	last, err := b.inst.PromoteSealingKey("acme", next, id)
	require.NoError(t, err)
	_, err = b.inst.PromoteSealingKey("acme", last, id)
	require.ErrorIs(t, err, seal.ErrKeyState)

	knows, err := b.inst.OpenKeys("acme", next)
	require.NoError(t, err)
	uses, err := b.inst.OpenKeys("acme", last)
	require.NoError(t, err)
	sealed, err := uses.Seal([]byte("aoi@example.jp"))
	require.NoError(t, err)
	_, err = knows.Open(sealed)
	require.NoError(t, err, "who has the standby key reads what is sealed with it")
	_, err = b.keys.Open(sealed)
	require.ErrorIs(t, err, seal.ErrOpen)
	before, err := b.keys.Seal([]byte("aoi@example.jp"))
	require.NoError(t, err)
	_, err = uses.Open(before)
	require.NoError(t, err, "the old key opens what it sealed")
}

// Readers and writers go on while keys come and go.
func TestReloadBesideUse(t *testing.T) {
	t.Parallel()
	f, inst := keyFile(t, t.TempDir())
	done := make(chan struct{})
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				sealed, err := inst.Seal([]byte("x"), nil)
				if err == nil {
					_, err = inst.Open(sealed, nil)
				}
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for range 10 {
		id, err := f.AddKey(epoch)
		require.NoError(t, err)
		require.NoError(t, f.Promote(id, epoch))
		_, err = inst.Reload()
		require.NoError(t, err)
		require.Equal(t, id, inst.Primary())
	}
	close(done)
	wg.Wait()
}

// What does not open is met often; a key service that is away must not be asked each time.
func TestAnUnreadableFileIsNotReadForEveryValueThatDoesNotOpen(t *testing.T) {
	t.Parallel()
	f := seal.File{Path: filepath.Join(t.TempDir(), "installation.key")}
	synctest.Test(t, func(t *testing.T) { askedOnce(t, f) }) // time stands still there, however slow the machine is
}

func askedOnce(t *testing.T, f seal.File) {
	t.Helper()
	calls := &counting{}
	f.Wrapper = calls
	inst, err := f.LoadOrCreate(epoch)
	require.NoError(t, err)
	_, err = f.AddKey(epoch)
	require.NoError(t, err)
	calls.fail, calls.n = true, 0
	for range 10 {
		_, err := inst.Open([]byte("garbage"), nil)
		require.ErrorContains(t, err, "away")
		require.NotErrorIs(t, err, seal.ErrOpen)
	}
	require.Equal(t, 1, calls.n)
	calls.fail = false
	changed, err := inst.Reload()
	require.NoError(t, err)
	require.True(t, changed)
	_, err = inst.Open([]byte("garbage"), nil)
	require.ErrorIs(t, err, seal.ErrOpen)
}

// counting is a key service that hides nothing.
type counting struct {
	n    int
	fail bool
}

func (c *counting) Encrypt(plain, _ []byte) ([]byte, error) { return plain, nil }

func (c *counting) Decrypt(sealed, _ []byte) ([]byte, error) {
	c.n++
	if c.fail {
		return nil, errors.New("away")
	}
	return sealed, nil
}

func FuzzInstallationFile(f *testing.F) {
	dir := f.TempDir()
	file, _ := keyFile(f, dir)
	_, err := file.AddKey(epoch)
	require.NoError(f, err)
	data, err := os.ReadFile(file.Path)
	require.NoError(f, err)
	f.Add(data)
	f.Add([]byte(olderFile))
	f.Add([]byte(`{"throughline_keyset":1,"keyset":{"encryptedKeyset":"AAAA"}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), "installation.key")
		require.NoError(t, os.WriteFile(path, data, 0o600))
		inst, err := seal.LoadInstallation(path)
		if err != nil {
			return
		}
		sealed, err := inst.Seal([]byte("x"), nil)
		require.NoError(t, err)
		plain, err := inst.Open(sealed, nil)
		require.NoError(t, err)
		require.Equal(t, "x", string(plain))
		_, err = inst.Keys()
		require.NoError(t, err)
	})
}
