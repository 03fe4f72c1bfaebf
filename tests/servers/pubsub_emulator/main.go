// Command pubsub-emulator serves Google's own Pub/Sub fake (package pstest) on a fixed address.
//
// Signals: SIGUSR1 forgets all messages; SIGUSR2 closes the door (connections are refused) and, sent again, opens it
// with everything kept, as an outage of the real service would look; SIGTERM and SIGINT end it. All data is in memory.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"cloud.google.com/go/pubsub/v2/pstest"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const maxBytes = 64 << 20 // pstest's own server stops at gRPC's 4 MB, real Pub/Sub takes 10 MB

// refuseSeek answers Seek itself: pstest would lose the payloads and panic at the next pull.
func refuseSeek(ctx context.Context, request any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	if strings.HasSuffix(info.FullMethod, "/Seek") {
		return nil, status.Error(codes.Unimplemented, "this emulator cannot seek")
	}
	return next(ctx, request)
}

// open serves the fake's data at the address, in the background.
func open(address string, fake *pstest.Server) *grpc.Server {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		log.Fatal(err)
	}
	server := grpc.NewServer(
		grpc.MaxRecvMsgSize(maxBytes), grpc.MaxSendMsgSize(maxBytes), grpc.UnaryInterceptor(refuseSeek))
	pubsubpb.RegisterPublisherServer(server, &fake.GServer)
	pubsubpb.RegisterSubscriberServer(server, &fake.GServer)
	pubsubpb.RegisterSchemaServiceServer(server, &fake.GServer)
	go func() {
		if err := server.Serve(listener); err != nil {
			log.Fatal(err)
		}
	}()
	fmt.Println("pubsub emulator on", address)
	return server
}

func main() {
	address := flag.String("addr", "127.0.0.1:8085", "listen address")
	flag.Parse()
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGUSR1, syscall.SIGUSR2)
	fake := pstest.NewServer()
	server := open(*address, fake)
	for received := range signals {
		switch {
		case received == syscall.SIGUSR1:
			fake.ClearMessages()
		case received != syscall.SIGUSR2:
			return
		case server == nil:
			server = open(*address, fake)
		default:
			server.Stop()
			server = nil
		}
	}
}
