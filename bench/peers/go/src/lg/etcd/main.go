package main

import (
	"context"
	"fmt"
	"os"
	"sync"
	"time"

	"go.etcd.io/etcd/clientv3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/keepalive"

	"lg/bench"
)

type ad struct{ cs []*clientv3.Client }

func (a *ad) Open(eps []string, conns int) error {
	a.cs = nil
	lc := zap.NewProductionConfig()
	lc.Level = zap.NewAtomicLevelAt(zap.FatalLevel)
	var wg sync.WaitGroup
	a.cs = make([]*clientv3.Client, conns)
	errs := make([]error, conns)
	for i := 0; i < conns; i++ {
		i := i
		wg.Add(1)
		go func() {
			defer wg.Done()
			// each client prefers its own endpoint; a fail-over goes to the others
			e := append(append([]string{}, eps[i%len(eps):]...), eps[:i%len(eps)]...)
			if len(eps) > 1 && pinned {
				e = e[:1]
			}
			a.cs[i], errs[i] = clientv3.New(clientv3.Config{Endpoints: e, DialTimeout: 5 * time.Second, LogConfig: &lc,
				DialOptions: []grpc.DialOption{grpc.WithBlock(), grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 10 * time.Second, Timeout: 2 * time.Second})}})
		}()
	}
	wg.Wait()
	for _, e := range errs {
		if e != nil {
			return e
		}
	}
	return nil
}

// pinned: one endpoint per connection, no balancer (the load workloads); gap and probe use all endpoints
var pinned = true

func (a *ad) c(w int) *clientv3.Client { return a.cs[w%len(a.cs)] }
func (a *ad) Put(ctx context.Context, w int, k string, v []byte) error {
	_, err := a.c(w).Put(ctx, k, string(v))
	return err
}
func (a *ad) Get(ctx context.Context, w int, k, mode string) error {
	var err error
	var r *clientv3.GetResponse
	if mode == "stale" {
		r, err = a.c(w).Get(ctx, k, clientv3.WithSerializable())
	} else {
		r, err = a.c(w).Get(ctx, k)
	}
	if err == nil && len(r.Kvs) != 1 {
		err = fmt.Errorf("key not found")
	}
	return err
}
func (a *ad) ScanKey(d, i, n int) string { return fmt.Sprintf("s%d/%02d/%08d", n, d, i) }
func (a *ad) Scan(ctx context.Context, w, d, n int) (int, error) {
	r, err := a.c(w).Get(ctx, fmt.Sprintf("s%d/%02d/", n, d), clientv3.WithPrefix(), clientv3.WithLimit(int64(n)))
	if err != nil {
		return 0, err
	}
	return len(r.Kvs), nil
}
func (a *ad) BatchMax() int { return 100 }
func (a *ad) LoadBatch(ctx context.Context, w int, ks []string, vs [][]byte) error {
	ops := make([]clientv3.Op, len(ks))
	for i := range ks {
		ops[i] = clientv3.OpPut(ks[i], string(vs[i]))
	}
	_, err := a.c(w).Txn(ctx).Then(ops...).Commit()
	return err
}
func (a *ad) Watch(ctx context.Context, w int, k string, ready func(), f func([]byte)) error {
	for r := range a.c(w).Watch(clientv3.WithRequireLeader(ctx), k, clientv3.WithCreatedNotify()) {
		if r.Created {
			ready()
			continue
		}
		if r.Err() != nil {
			return r.Err()
		}
		for _, e := range r.Events {
			f(e.Kv.Value)
		}
	}
	return nil
}
func (a *ad) Close() {
	for _, c := range a.cs {
		if c != nil {
			c.Close()
		}
	}
}

func main() {
	for _, x := range os.Args {
		if x == "gap" || x == "probe" || x == "-workload=gap" || x == "-workload=probe" {
			pinned = false
		}
	}
	bench.Main(&ad{})
}
