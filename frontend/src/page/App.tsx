import { JoinPage } from './JoinPage';
import { RoomPage } from './RoomPage';
import { useRoute } from './route';

export function App() {
  const { page, slug } = useRoute();
  return page === 'sala' ? <RoomPage key={slug} slug={slug} /> : <JoinPage key={slug} slug={slug} />;
}
