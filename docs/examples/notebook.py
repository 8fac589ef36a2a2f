import metapipe

run = metapipe.train(plugin="protonet", dataset="digits", ways=3, queries=5)
print(run.run_id, run.status, run.evaluation)

metapipe.evaluate("latest", split="test", episodes=1000, seed=7)
metapipe.train(from_run=run.run_id, lr=0.003)

new = metapipe.adapt("latest", support="shots/", query="more/", out="cats.metapipe")
print(new.query)
rows = metapipe.predict("cats.metapipe", ["photos/"])
model = metapipe.FewShotClassifier("latest").fit(["tabby1.jpg", "siamese1.jpg"], [0, 1])
