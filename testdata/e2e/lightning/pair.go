// Package lightning brings up a Lightning network of one's own: btcd on regtest and two LND
// nodes, alice who pays and bob who sells, with a funded channel between them. It takes about
// three seconds and speaks to the nodes in JSON over HTTP, so it needs none of their code.
package lightning

import (
	"context"
	"errors"
	"path/filepath"
	"time"

	"github.com/caddy-l402/caddy-l402/testdata/e2e/proc"
)

// Pair is the network.
type Pair struct {
	Chain *Chain
	// Alice pays.
	Alice *Node
	// Bob sells: a gateway holds a macaroon of his.
	Bob *Node
}

// The channel's size and what bob has of it at first, in satoshis: both can pay.
const channelSat, bobSat = 10_000_000, 5_000_000

// Up starts the network with its data in dir; bin is the folder with the programs btcd and lnd.
func Up(ctx context.Context, bin, dir string) (p *Pair, err error) {
	p = &Pair{}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.Down())
		}
	}()
	ports := proc.FreePorts(8)
	p.Alice, p.Bob = newNode("alice", bin, dir, ports[2:5]), newNode("bob", bin, dir, ports[5:8])
	if err := p.startFunded(ctx, bin, dir, ports[0], ports[1]); err != nil {
		return p, err
	}
	for _, n := range []*Node{p.Alice, p.Bob} {
		if err := n.Start(ctx); err != nil {
			return p, err
		}
	}
	if err := p.openChannel(ctx); err != nil {
		return p, err
	}
	return p, p.WaitPath(ctx)
}

func newNode(name, bin, dir string, ports []int) *Node {
	return &Node{
		Name: name, Dir: filepath.Join(dir, name), bin: filepath.Join(bin, "lnd"),
		p2p: ports[0], RPCPort: ports[1], RESTPort: ports[2],
	}
}

// startFunded starts btcd with alice's address as the miner's, which takes two starts, and mines
// until coins are ripe. Alice is down again afterwards.
func (p *Pair) startFunded(ctx context.Context, bin, dir string, rpc, p2p int) (err error) {
	btcd, home := filepath.Join(bin, "btcd"), filepath.Join(dir, "btcd")
	if p.Chain, err = startChain(ctx, btcd, home, "", rpc, p2p); err != nil {
		return err
	}
	p.setChain()
	if err := p.Alice.Start(ctx); err != nil {
		return err
	}
	address, err := p.Alice.newAddress(ctx)
	if err != nil {
		return err
	}
	if err := errors.Join(p.Alice.StopWait(), p.Chain.Stop(20*time.Second)); err != nil {
		return err
	}
	if p.Chain, err = startChain(ctx, btcd, home, address, rpc, p2p); err != nil {
		return err
	}
	p.setChain()
	// A mined coin can be spent after 100 blocks.
	return p.Chain.Mine(ctx, 110)
}

func (p *Pair) setChain() { p.Alice.chain, p.Bob.chain = p.Chain, p.Chain }

func (p *Pair) openChannel(ctx context.Context) error {
	for _, n := range []*Node{p.Alice, p.Bob} {
		if err := n.WaitReady(ctx); err != nil {
			return err
		}
	}
	if err := p.Alice.connectPeer(ctx, p.Bob); err != nil {
		return err
	}
	if err := p.Alice.openChannel(ctx, p.Bob, channelSat, bobSat); err != nil {
		return err
	}
	// One block confirms the channel, six announce it.
	return p.Chain.Mine(ctx, 6)
}

// WaitPath waits until alice and bob can pay each other, at first or after one was restarted.
func (p *Pair) WaitPath(ctx context.Context) error {
	for _, n := range []*Node{p.Alice, p.Bob} {
		if err := n.WaitReady(ctx); err != nil {
			return err
		}
	}
	if err := p.Alice.connectPeer(ctx, p.Bob); err != nil {
		return err
	}
	if err := p.Alice.WaitPath(ctx, p.Bob); err != nil {
		return err
	}
	return p.Bob.WaitPath(ctx, p.Alice)
}

// Down stops everything that runs.
func (p *Pair) Down() error {
	err := errors.Join(p.Alice.StopWait(), p.Bob.StopWait())
	if p.Chain != nil {
		err = errors.Join(err, p.Chain.Stop(20*time.Second))
	}
	return err
}
