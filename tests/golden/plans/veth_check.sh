sudo ip route
sudo ip route get 172.18.0.20
sudo ping -c1 -W1 172.18.0.10
sudo ping -c1 -W1 172.18.0.20
