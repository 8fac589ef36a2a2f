import metapipe

run = metapipe.train(
    plugin="maml",
    dataset="digits",
    ways=3,
    lr=0.01,
    settings={"algorithm.inner_lr": 0.1, "model.width": 16},
)
