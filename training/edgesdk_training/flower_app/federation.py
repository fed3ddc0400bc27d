"""What Flower runs at the server, and at each client."""

from edgesdk_training.federated.node import client_app, server_app

server = server_app()
client = client_app()
