package rest

import (
	"compress/gzip"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/throughline-dev/throughline/services/simulator/internal/bulk"
)

const (
	// maxBody is the largest request body, after decompression; a batch of 200 records of 32,000-character texts fits.
	maxBody = 50 << 20
	// maxURI and maxHead are the longest address and the longest address with headers.
	maxURI, maxHead = 16_384, 16_384
	// compressFrom is the size from which an answer is compressed for clients that accept it.
	compressFrom = 4 << 10
)

// readBody reads and decompresses the body and checks the sizes of the rest.
func (s *Server) readBody(c *call) (reply, bool) {
	if len(c.RequestURI) > maxURI {
		return reply{status: http.StatusRequestURITooLong, body: []byte("<h1>Bad Message 414</h1><pre>reason: URI Too Long</pre>"), html: true}, true
	}
	head := len(c.RequestURI)
	for name, values := range c.Header {
		for _, v := range values {
			head += len(name) + len(v)
		}
	}
	if head > maxHead {
		return reply{status: http.StatusRequestHeaderFieldsTooLarge, body: []byte("<h1>Bad Message 431</h1><pre>reason: Request Header Fields Too Large</pre>"), html: true}, true
	}
	if c.Body == nil || c.Body == http.NoBody {
		return reply{}, false
	}
	if media, _, _ := strings.Cut(c.Header.Get("Content-Type"), ";"); !spoken(strings.TrimSpace(strings.ToLower(media))) {
		return failure(http.StatusUnsupportedMediaType, "UNSUPPORTED_MEDIA_TYPE", "Content type "+media+" not supported"), true
	}
	var from io.Reader = c.Body
	var err error
	switch strings.ToLower(c.Header.Get("Content-Encoding")) {
	case "gzip":
		from, err = gzip.NewReader(c.Body)
	case "deflate":
		from, err = zlib.NewReader(c.Body)
	case "", "identity":
	default:
		return failure(http.StatusUnsupportedMediaType, "UNSUPPORTED_MEDIA_TYPE", "Content-Encoding not supported"), true
	}
	if err != nil {
		return failure(http.StatusBadRequest, "JSON_PARSER_ERROR", "the compressed body cannot be read"), true
	}
	limit := int64(maxBody)
	if c.route.name == routeBulkUpload {
		limit = bulk.MaxUpload
	}
	var b strings.Builder
	if c.ContentLength > 0 && c.ContentLength < limit {
		b.Grow(int(c.ContentLength))
	}
	n, err := io.Copy(&b, io.LimitReader(from, limit+1))
	if n > limit {
		return failure(http.StatusRequestEntityTooLarge, "REQUEST_LIMIT_EXCEEDED", fmt.Sprintf("the request body is larger than %d MB", limit>>20)), true
	}
	if err != nil {
		if errors.Is(err, c.Context().Err()) && c.Context().Err() != nil {
			return reply{}, false
		}
		return failure(http.StatusBadRequest, "JSON_PARSER_ERROR", "the body cannot be read"), true
	}
	c.body = b.String()
	return reply{}, false
}

// spoken reports whether a body of the media type may be one of this API. XML is not, nor what browsers make of forms.
func spoken(media string) bool {
	return !strings.HasSuffix(media, "/xml") && media != "application/x-www-form-urlencoded"
}

var compressors = sync.Pool{New: func() any {
	w, err := gzip.NewWriterLevel(nil, gzip.BestSpeed)
	if err != nil {
		panic(err) // the level is a constant
	}
	return w
}}

// send writes the answer.
func (s *Server) send(w http.ResponseWriter, c *call, rep reply) {
	h := w.Header()
	if !rep.uncount && !rep.html && c.route.name != routeVersions && c.route.name != "" {
		used, limit := s.quota.Usage(s.org.Now())
		h.Set("Sforce-Limit-Info", "api-usage="+strconv.Itoa(used)+"/"+strconv.Itoa(limit))
	}
	if rep.location != "" {
		h.Set("Location", rep.location)
	}
	if rep.modified != "" {
		h.Set("Last-Modified", rep.modified)
	}
	for name, value := range rep.headers {
		h.Set(name, value)
	}
	if len(rep.body) == 0 {
		w.WriteHeader(rep.status)
		return
	}
	h.Set("Content-Type", "application/json;charset=UTF-8")
	if rep.html {
		h.Set("Content-Type", "text/html; charset=utf-8")
	}
	if rep.csv {
		h.Set("Content-Type", "text/csv")
	}
	h.Set("Vary", "Accept-Encoding")
	if len(rep.body) < compressFrom || !strings.Contains(c.Header.Get("Accept-Encoding"), "gzip") {
		h.Set("Content-Length", strconv.Itoa(len(rep.body)))
		w.WriteHeader(rep.status)
		_, _ = w.Write(rep.body) // the client is gone if this fails
		return
	}
	h.Set("Content-Encoding", "gzip")
	w.WriteHeader(rep.status)
	z := compressors.Get().(*gzip.Writer)
	defer compressors.Put(z)
	z.Reset(w)
	_, _ = z.Write(rep.body)
	_ = z.Close()
}

// statusWriter remembers the status.
type statusWriter struct {
	http.ResponseWriter
	status int
}

// WriteHeader notes and passes on the status.
func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// discard takes an answer that nobody will see.
type discard struct{ header http.Header }

// Header returns the headers.
func (d *discard) Header() http.Header { return d.header }

// Write takes everything.
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }

// WriteHeader does nothing.
func (d *discard) WriteHeader(int) {}
