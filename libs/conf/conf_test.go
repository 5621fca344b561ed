package conf_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/libs/conf"
)

type httpConfig struct {
	Listen  string        `yaml:"listen"`
	Timeout time.Duration `yaml:"timeout"`
}

type settings struct {
	HTTP    httpConfig `yaml:"http"`
	Brokers []string   `yaml:"brokers"`
	Workers int        `yaml:"workers"`
	Verbose bool       `yaml:"verbose"`
}

func (s *settings) Validate() error {
	if s.Workers < 1 {
		return errors.New("workers: want at least 1")
	}
	return nil
}

type listed struct {
	Servers []httpConfig `yaml:"servers"`
	Names   []string     `yaml:"names"`
}

func (*listed) Validate() error { return nil }

func defaults() *settings {
	return &settings{HTTP: httpConfig{Listen: ":80", Timeout: time.Second}, Workers: 2}
}

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "c.yaml")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

func TestLoad(t *testing.T) {
	t.Parallel()

	t.Run("AListReplacesTheDefaultWhole", func(t *testing.T) {
		t.Parallel()
		got := &listed{Servers: []httpConfig{{":1", time.Second}, {":2", time.Second}, {":3", time.Second}}, Names: []string{"a", "b"}}
		given := got.Servers
		require.NoError(t, conf.Load(got, conf.Sources{File: write(t, "servers: [{timeout: 2s}, {listen: ':9'}]\n")}))
		require.Equal(t, []httpConfig{{Timeout: 2 * time.Second}, {Listen: ":9"}}, got.Servers, "nothing of the defaults shines through")
		require.Equal(t, []string{"a", "b"}, got.Names)
		require.Equal(t, httpConfig{":1", time.Second}, given[0], "nor are they changed")
		require.NoError(t, conf.Load(got, conf.Sources{File: write(t, "servers: []\n")}))
		require.Empty(t, got.Servers)
	})

	t.Run("LaterSourcesWin", func(t *testing.T) {
		t.Parallel()
		got := defaults()
		err := conf.Load(got, conf.Sources{
			File:      write(t, "http: {listen: ':81', timeout: 3s}\nworkers: 3\nbrokers: [a:1]\n"),
			EnvPrefix: "TL_",
			Environ:   []string{"TL_HTTP__LISTEN=:82", "TL_WORKERS=4", "OTHER=x"},
			Set:       []string{"workers=5", "brokers=[b:1, c:1]", "verbose=true"},
		})
		require.NoError(t, err)
		require.Equal(t, &settings{
			HTTP: httpConfig{Listen: ":82", Timeout: 3 * time.Second}, Brokers: []string{"b:1", "c:1"}, Workers: 5, Verbose: true,
		}, got)
	})

	t.Run("DefaultsStayWithoutSources", func(t *testing.T) {
		t.Parallel()
		got := defaults()
		require.NoError(t, conf.Load(got, conf.Sources{}))
		require.Equal(t, defaults(), got)
	})

	for name, tc := range map[string]struct {
		src  conf.Sources
		want string
	}{
		"UnknownKeyInFile":  {conf.Sources{Set: []string{"http.lisen=:1"}}, "lisen"},
		"UnknownVariable":   {conf.Sources{EnvPrefix: "TL_", Environ: []string{"TL_HTTP__PORT=1"}}, "port"},
		"WrongType":         {conf.Sources{Set: []string{"workers=many"}}, "workers"},
		"InvalidValue":      {conf.Sources{Set: []string{"workers=0"}}, "workers: want at least 1"},
		"PairWithoutEquals": {conf.Sources{Set: []string{"workers"}}, "want key=value"},
		"MissingFile":       {conf.Sources{File: "nowhere.yaml"}, "nowhere.yaml"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.ErrorContains(t, conf.Load(defaults(), tc.src), tc.want)
		})
	}
}

func TestErrorsNameTheKeyItsSourceAndWhatIsWanted(t *testing.T) {
	t.Parallel()
	file := write(t, "http: {timeout: 10}\nworkers: many\nverbose: perhaps\n")
	unknown := write(t, "http: {lisen: ':81'}\n")
	for name, c := range map[string]struct {
		src  conf.Sources
		want []string
	}{
		"Values": {conf.Sources{File: file, Set: []string{"brokers={a: 1}"}}, []string{
			"http.timeout (" + file + "): want a time such as 30s, 5m or 24h",
			"workers (" + file + "): want a whole number",
			"verbose (" + file + "): want true or false",
			"brokers[0] (--set brokers): want a text",
		}},
		"Keys": {conf.Sources{
			File: unknown, EnvPrefix: "TL_", Environ: []string{"TL_BROKRES=[a:1]"}, Set: []string{"http.port=1"},
		}, []string{
			"http.lisen (" + unknown + "): there is no such key; there are listen, timeout",
			"brokres (the environment, TL_…): there is no such key; there are brokers, http, verbose, workers",
			"http.port (--set http.port): there is no such key; there are listen, timeout",
		}},
		"NoStruct": {conf.Sources{Set: []string{"http=3"}}, []string{"http (--set http): want keys of its own below it"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := conf.Load(defaults(), c.src)
			for _, want := range c.want {
				require.ErrorContains(t, err, want)
			}
			require.NotContains(t, err.Error(), "decoding failed")
			require.NotContains(t, err.Error(), "many", "a value may be a secret")
			require.NotContains(t, err.Error(), "\n\n")
		})
	}
}

// YAML takes 2027-03-01 for a time; a key that wants a text gets what was written.
func TestADateIsATextWhereOneIsWanted(t *testing.T) {
	t.Parallel()
	got := defaults()
	require.NoError(t, conf.Load(got, conf.Sources{File: write(t, "http: {listen: 2027-03-01}\nbrokers: ['a:1', 2027-03-01T09:00:00+09:00]\n")}))
	require.Equal(t, "2027-03-01", got.HTTP.Listen)
	require.Equal(t, []string{"a:1", "2027-03-01T09:00:00+09:00"}, got.Brokers)
}

func TestZeroNeedsNoUnit(t *testing.T) {
	t.Parallel()
	got := defaults()
	require.NoError(t, conf.Load(got, conf.Sources{Set: []string{"http.timeout=0"}}))
	require.Zero(t, got.HTTP.Timeout)
}

func TestYAMLRoundTrips(t *testing.T) {
	t.Parallel()
	want := defaults()
	want.Brokers = []string{"a:1"}
	text, err := conf.YAML(want)
	require.NoError(t, err)
	got := &settings{}
	require.NoError(t, conf.Load(got, conf.Sources{File: write(t, text)}))
	require.Equal(t, want, got)
}
