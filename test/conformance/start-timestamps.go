// Command start-timestamps writes into a folder what tests read from test/conformance/data: histogram chunks with start
// timestamps as Prometheus encodes them, and a block with them. It runs in a Go module that requires
// github.com/prometheus/prometheus v0.316.0: go run . FOLDER
package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"io"
	"io/fs"
	"math"
	"math/rand"
	"os"
	"path/filepath"
	"strings"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
)

type vector struct {
	Name     string `json:"name"`
	Encoding int    `json:"encoding"`
	Hex      string `json:"hex"`
	// The same samples in the encoding without starts.
	Plain  string  `json:"plain"`
	Starts []int64 `json:"starts"`
}

const start = int64(1767225600000)

// starts says where samples begin, by a name.
var starts = []struct {
	name string
	of   func(i int, t int64, random *rand.Rand) int64
}{
	{"none", func(int, int64, *rand.Rand) int64 { return 0 }},
	{"same", func(int, int64, *rand.Rand) int64 { return start - 60000 }},
	{"other_at_second", func(i int, _ int64, _ *rand.Rand) int64 { return start - 60000 + int64(min(i, 1))*61000 }},
	{"only_from_second", func(i int, _ int64, _ *rand.Rand) int64 { return start * int64(min(i, 1)) }},
	{"other_at_fifth", func(i int, _ int64, _ *rand.Rand) int64 { return start - 5 + int64(i/4)*60000 }},
	{"none_at_third", func(i int, _ int64, _ *rand.Rand) int64 { return (start - 1) * int64(min(max(i-2, 2-i), 1)) }},
	{"each_the_last", func(i int, t int64, _ *rand.Rand) int64 { return t - 15000 }},
	{"any", func(_ int, t int64, random *rand.Rand) int64 { return t - random.Int63n(1<<uint(random.Intn(40)+1)) }},
	{"late", func(i int, t int64, _ *rand.Rand) int64 { return (t - 7) * int64(max(min(i-129, 1), 0)) }},
	{"behind_the_sample", func(i int, t int64, _ *rand.Rand) int64 { return t + int64(i)*1000 }},
}

var shapes = []struct {
	name    string
	samples int
	of      func(i int) *histogram.Histogram
}{
	{"one", 1, growing},
	{"growing", 12, growing},
	{"long", 140, growing},
	{"new_buckets", 9, func(i int) *histogram.Histogram {
		h := growing(i)
		if i < 4 {
			h.PositiveSpans, h.PositiveBuckets = []histogram.Span{{Offset: 0, Length: 2}}, []int64{int64(i + 1), 0}
		}
		return h
	}},
	{"gauge", 8, func(i int) *histogram.Histogram {
		h := growing(7 - i)
		h.CounterResetHint = histogram.GaugeType
		return h
	}},
	{"custom", 6, func(i int) *histogram.Histogram {
		return &histogram.Histogram{Schema: histogram.CustomBucketsSchema, Count: uint64(3 * i), Sum: float64(i) / 3,
			PositiveSpans: []histogram.Span{{Offset: 0, Length: 3}}, PositiveBuckets: []int64{int64(i), 0, 0}, CustomValues: []float64{0.1, 1, 2.5}}
	}},
	{"stale", 6, func(i int) *histogram.Histogram {
		if i < 4 {
			return growing(i)
		}
		return &histogram.Histogram{Sum: math.Float64frombits(value.StaleNaN)}
	}},
	{"reset", 3, func(i int) *histogram.Histogram {
		h := growing(i)
		if i == 0 {
			h.CounterResetHint = histogram.CounterReset
		}
		return h
	}},
}

func growing(i int) *histogram.Histogram {
	n := int64(i + 1)
	return &histogram.Histogram{Schema: 2, ZeroThreshold: 0.001, ZeroCount: uint64(i), Count: uint64(5*n + int64(i)), Sum: float64(i) * 1.7,
		PositiveSpans: []histogram.Span{{Offset: 0, Length: 2}, {Offset: 3, Length: 1}}, PositiveBuckets: []int64{n, 0, n},
		NegativeSpans: []histogram.Span{{Offset: -1, Length: 1}}, NegativeBuckets: []int64{n - n}}
}

func timeOf(i int) int64 { return start + int64(i)*15000 + int64(i%3) }

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func encode(chunk chunkenc.Chunk, samples int, of func(i int) *histogram.Histogram, startOf func(i int) int64) chunkenc.Chunk {
	app, err := chunk.Appender()
	must(err)
	for i := range samples {
		var next chunkenc.Chunk
		var recoded bool
		switch chunk.Encoding() {
		case chunkenc.EncHistogram, chunkenc.EncHistogramST:
			next, recoded, app, err = app.AppendHistogram(nil, startOf(i), timeOf(i), of(i), false)
		default:
			next, recoded, app, err = app.AppendFloatHistogram(nil, startOf(i), timeOf(i), of(i).ToFloat(nil), false)
		}
		must(err)
		if next != nil {
			if !recoded {
				panic("a chunk was cut")
			}
			chunk = next
		}
	}
	return chunk
}

func writeChunks(to io.Writer) {
	out := json.NewEncoder(to)
	for _, shape := range shapes {
		for _, st := range starts {
			if shape.samples > 100 && st.name != "none" && st.name != "same" && st.name != "late" {
				continue
			}
			for _, pair := range [][2]chunkenc.Chunk{
				{chunkenc.NewHistogramSTChunk(), chunkenc.NewHistogramChunk()},
				{chunkenc.NewFloatHistogramSTChunk(), chunkenc.NewFloatHistogramChunk()},
			} {
				random := rand.New(rand.NewSource(1))
				startOf := make([]int64, shape.samples)
				for i := range startOf {
					startOf[i] = st.of(i, timeOf(i), random)
				}
				chunk := encode(pair[0], shape.samples, shape.of, func(i int) int64 { return startOf[i] })
				plain := encode(pair[1], shape.samples, shape.of, func(int) int64 { return 0 })
				v := vector{Name: shape.name + ", " + st.name, Encoding: int(chunk.Encoding())}
				v.Hex, v.Plain = hex.EncodeToString(chunk.Bytes()), hex.EncodeToString(plain.Bytes())
				it := chunk.Iterator(nil)
				for it.Next() != chunkenc.ValNone {
					v.Starts = append(v.Starts, it.AtST())
				}
				must(it.Err())
				must(out.Encode(v))
			}
		}
	}
}

// writeBlock writes the files of a block by their names: floats, whole histograms and such of fractions, 30 samples each.
func writeBlock(out io.Writer) {
	dir, err := os.MkdirTemp("", "block")
	must(err)
	defer os.RemoveAll(dir)
	opts := tsdb.DefaultOptions()
	opts.EnableSTStorage, opts.EnableHistogramSTEncoding, opts.FloatChunkEncoding = true, true, chunkenc.EncXOR2
	db, err := tsdb.Open(dir+"/db", nil, nil, opts, nil)
	must(err)
	for i := range int64(30) {
		app := db.AppenderV2(context.Background())
		t, st := start+i*15000, start-1000+i/10*150000
		h := &histogram.Histogram{Schema: 1, Count: uint64(2 * i), Sum: float64(i), PositiveSpans: []histogram.Span{{Offset: 0, Length: 2}}, PositiveBuckets: []int64{i, 0}}
		_, err := app.Append(0, labels.FromStrings("__name__", "floats"), st, t, float64(i), nil, nil, storage.AppendV2Options{})
		must(err)
		_, err = app.Append(0, labels.FromStrings("__name__", "whole"), st, t, 0, h, nil, storage.AppendV2Options{})
		must(err)
		_, err = app.Append(0, labels.FromStrings("__name__", "fractions"), st, t, 0, nil, h.ToFloat(nil), storage.AppendV2Options{})
		must(err)
		must(app.Commit())
	}
	must(db.Snapshot(dir+"/snapshot", true))
	must(db.Close())
	files := map[string][]byte{}
	must(filepath.WalkDir(dir+"/snapshot", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		name, _ := filepath.Rel(dir+"/snapshot", path)
		_, name, _ = strings.Cut(name, "/")
		files[name], err = os.ReadFile(path)
		return err
	}))
	must(json.NewEncoder(out).Encode(files))
}

func create(name string, write func(io.Writer)) {
	file, err := os.Create(filepath.Join(os.Args[1], name))
	must(err)
	write(file)
	must(file.Close())
}

func main() {
	create("chunks-histogram-starts.jsonl", writeChunks)
	create("block-starts.json", writeBlock)
}
